"""Results of tavily.com."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from reagent_sdk.tools.search.providers.base import Hit, ProviderMisconfigured, SearchFailed, hit_of
from reagent_sdk.tools.search.providers.http import Request, rows_of
from reagent_sdk.tools.search.providers.keyed import KeyedProvider

_OUT_OF_CREDIT = {432, 433}


class Tavily(KeyedProvider):
    """Results of tavily.com."""

    name = "tavily"
    key_variable = "TAVILY_API_KEY"
    home = "https://api.tavily.com"

    def _request(self, query: str, limit: int) -> Request:
        body = {"query": query, "max_results": limit, "search_depth": "basic"}
        return Request("POST", "/search", headers={"Authorization": f"Bearer {self._secret}"}, body=body)

    def _refusal(self, status: int, headers: Mapping[str, str], page: str) -> SearchFailed:
        if status in _OUT_OF_CREDIT:
            return ProviderMisconfigured(f"the plan's credit is used up (status {status})")
        return super()._refusal(status, headers, page)

    def _hits(self, reply: Mapping[str, Any]) -> Iterator[Hit | None]:
        for row in rows_of(reply.get("results")):
            yield hit_of(self.name, row.get("title"), row.get("url"), row.get("content"))
