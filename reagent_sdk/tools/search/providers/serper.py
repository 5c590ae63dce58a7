"""Google results through serper.dev."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from reagent_sdk.tools.search.providers.base import Hit, hit_of
from reagent_sdk.tools.search.providers.http import Request, rows_of
from reagent_sdk.tools.search.providers.keyed import KeyedProvider


class Serper(KeyedProvider):
    """Google results through serper.dev. A direct answer of Google's comes first when it names its page."""

    name = "serper"
    key_variable = "SERPER_API_KEY"
    home = "https://google.serper.dev"

    def _request(self, query: str, limit: int) -> Request:
        return Request("POST", "/search", headers={"X-API-KEY": self._secret}, body={"q": query, "num": limit})

    def _hits(self, reply: Mapping[str, Any]) -> Iterator[Hit | None]:
        for box in rows_of([reply.get("answerBox")]):
            yield hit_of(self.name, box.get("title"), box.get("link"), box.get("answer") or box.get("snippet"))
        for row in rows_of(reply.get("organic")):
            yield hit_of(self.name, row.get("title"), row.get("link"), row.get("snippet"))
