"""Google results through serper.dev."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from reagent_sdk.tools.search.providers.base import Hit, hit_of
from reagent_sdk.tools.search.providers.http import HttpProvider, Request, rows_of
from reagent_sdk.tools.search.providers.pace import Pace


class Serper(HttpProvider):
    """Google results through serper.dev. A direct answer of Google's comes first when it names its page.

    Args:
        api_key: the key, as in `$SERPER_API_KEY`.
        base_url: where the interface is.
        timeout: seconds for one request.
        pace: how fast it may be asked.
    """

    name = "serper"
    key_variable = "SERPER_API_KEY"

    def __init__(
        self,
        api_key: str,
        *,
        base_url: str = "https://google.serper.dev",
        timeout: float = 10.0,
        pace: Pace | None = None,
    ) -> None:
        super().__init__(base_url, api_key, timeout=timeout, pace=pace)

    def _request(self, query: str, limit: int) -> Request:
        key = self._key.reveal() if self._key else ""
        return Request("POST", "/search", headers={"X-API-KEY": key}, body={"q": query, "num": limit})

    def _hits(self, reply: Mapping[str, Any]) -> Iterator[Hit | None]:
        for box in rows_of([reply.get("answerBox")]):
            yield hit_of(self.name, box.get("title"), box.get("link"), box.get("answer") or box.get("snippet"))
        for row in rows_of(reply.get("organic")):
            yield hit_of(self.name, row.get("title"), row.get("link"), row.get("snippet"))
