"""Results of a SearXNG instance, such as one's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from reagent_sdk.tools.search.providers.base import Hit, ProviderDown, ProviderMisconfigured, SearchFailed, hit_of
from reagent_sdk.tools.search.providers.http import HttpProvider, Request, rows_of
from reagent_sdk.tools.search.providers.pace import Pace


class SearXNG(HttpProvider):
    """Results of a SearXNG instance. Its settings must list `json` among the search formats.

    Args:
        base_url: the instance, as in `$SEARXNG_URL`; may hold `user:password@`.
        timeout: seconds for one request.
        pace: how fast it may be asked.
    """

    name = "searxng"

    def __init__(self, base_url: str, *, timeout: float = 10.0, pace: Pace | None = None) -> None:
        super().__init__(base_url, timeout=timeout, pace=pace)

    def _request(self, query: str, limit: int) -> Request:
        return Request("GET", "/search", query={"q": query, "format": "json"})

    def _refusal(self, status: int, headers: Mapping[str, str], page: str) -> SearchFailed:
        if status == 403:
            return ProviderMisconfigured("it does not answer in JSON (403); add json to search.formats in settings.yml")
        return super()._refusal(status, headers, page)

    def _hits(self, reply: Mapping[str, Any]) -> Iterator[Hit | None]:
        rows = rows_of(reply.get("results"))
        if not rows and reply.get("unresponsive_engines"):
            raise ProviderDown("none of its engines answered")
        for row in rows:
            yield hit_of(self.name, row.get("title"), row.get("url"), row.get("content"))
