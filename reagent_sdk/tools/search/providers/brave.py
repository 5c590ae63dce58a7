"""Results of the Brave Search API."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from reagent_sdk.tools.search.providers.base import Hit, ProviderMisconfigured, SearchFailed, hit_of
from reagent_sdk.tools.search.providers.http import Request, rows_of
from reagent_sdk.tools.search.providers.keyed import KeyedProvider

_MAX_CHARS, _MAX_WORDS = 400, 50
"""A longer query is refused."""


class Brave(KeyedProvider):
    """Results of the Brave Search API."""

    name = "brave"
    key_variable = "BRAVE_API_KEY"
    home = "https://api.search.brave.com/res/v1"
    interval = 1.0

    def _request(self, query: str, limit: int) -> Request:
        short = " ".join(query.split()[:_MAX_WORDS])[:_MAX_CHARS]
        params = {"q": short, "count": str(min(limit, 20)), "text_decorations": "false"}
        return Request("GET", "/web/search", headers={"X-Subscription-Token": self._secret}, query=params)

    def _refusal(self, status: int, headers: Mapping[str, str], page: str) -> SearchFailed:
        if status == 422 and "SUBSCRIPTION_TOKEN_INVALID" in page:
            return ProviderMisconfigured(f"the key was refused; check {self.key_variable}")
        return super()._refusal(status, headers, page)

    def _asked_to_wait(self, headers: Mapping[str, str]) -> float | None:
        """`Retry-After`, or Brave's own header: seconds until each of the limits, the shortest first, starts anew."""
        asked = super()._asked_to_wait(headers)
        if asked is not None:
            return asked
        left = headers.get("X-RateLimit-Remaining", "").split(",")
        reset = headers.get("X-RateLimit-Reset", "").split(",")
        waits = [_number(after) for rest, after in zip(left, reset, strict=False) if rest.strip() == "0"]
        return max((wait for wait in waits if wait is not None), default=None)

    def _hits(self, reply: Mapping[str, Any]) -> Iterator[Hit | None]:
        for web in rows_of([reply.get("web")]):
            for row in rows_of(web.get("results")):
                yield hit_of(self.name, row.get("title"), row.get("url"), row.get("description"))


def _number(text: str) -> float | None:
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None
