"""Results of tavily.com."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from reagent_sdk.tools.search.providers.base import Hit, ProviderMisconfigured, SearchFailed, hit_of
from reagent_sdk.tools.search.providers.http import HttpProvider, Request, rows_of
from reagent_sdk.tools.search.providers.pace import Pace

_OUT_OF_CREDIT = {432, 433}


class Tavily(HttpProvider):
    """Results of tavily.com.

    Args:
        api_key: the key, as in `$TAVILY_API_KEY`.
        base_url: where the interface is.
        timeout: seconds for one request.
        pace: how fast it may be asked.
    """

    name = "tavily"
    key_variable = "TAVILY_API_KEY"

    def __init__(
        self,
        api_key: str,
        *,
        base_url: str = "https://api.tavily.com",
        timeout: float = 10.0,
        pace: Pace | None = None,
    ) -> None:
        super().__init__(base_url, api_key, timeout=timeout, pace=pace)

    def _request(self, query: str, limit: int) -> Request:
        key = self._key.reveal() if self._key else ""
        body = {"query": query, "max_results": limit, "search_depth": "basic"}
        return Request("POST", "/search", headers={"Authorization": f"Bearer {key}"}, body=body)

    def _refusal(self, status: int, headers: Mapping[str, str], page: str) -> SearchFailed:
        if status in _OUT_OF_CREDIT:
            return ProviderMisconfigured(f"the plan's credit is used up (status {status})")
        return super()._refusal(status, headers, page)

    def _hits(self, reply: Mapping[str, Any]) -> Iterator[Hit | None]:
        for row in rows_of(reply.get("results")):
            yield hit_of(self.name, row.get("title"), row.get("url"), row.get("content"))
