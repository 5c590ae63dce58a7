"""The providers that the environment offers."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from reagent_sdk.errors import InvalidInput
from reagent_sdk.tools.search.providers.base import Hit, ProviderMisconfigured, SearchProvider
from reagent_sdk.tools.search.providers.brave import Brave
from reagent_sdk.tools.search.providers.duckduckgo import DuckDuckGo
from reagent_sdk.tools.search.providers.searxng import SearXNG
from reagent_sdk.tools.search.providers.serper import Serper
from reagent_sdk.tools.search.providers.tavily import Tavily

_BY_VARIABLE: dict[str, Callable[[str], SearchProvider]] = {
    "SERPER_API_KEY": Serper,
    "TAVILY_API_KEY": Tavily,
    "BRAVE_API_KEY": Brave,
    "SEARXNG_URL": SearXNG,
}


class Misconfigured:
    """Stands for a provider that could not be made, so that its reason is told with those of the others."""

    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        self._reason = reason

    async def search(self, query: str, limit: int) -> list[Hit]:
        """Never answers.

        Raises:
            ProviderMisconfigured: always.
        """
        raise ProviderMisconfigured(self._reason)


def default_providers(environ: Mapping[str, str] | None = None) -> list[SearchProvider]:
    """Those whose key or address is set, in the order Serper, Tavily, Brave, SearXNG; last the one without a key.

    Args:
        environ: SERPER_API_KEY, TAVILY_API_KEY, BRAVE_API_KEY, SEARXNG_URL; by default the process's environment.
    """
    environ = os.environ if environ is None else environ
    providers: list[SearchProvider] = []
    for variable, make in _BY_VARIABLE.items():
        value = environ.get(variable, "").strip()
        if value:
            providers.append(_made(variable, value, make))
    return [*providers, DuckDuckGo()]


def _made(variable: str, value: str, make: Callable[[str], SearchProvider]) -> SearchProvider:
    try:
        return make(value)
    except InvalidInput as error:
        return Misconfigured(variable.split("_")[0].lower(), f"{error}; check {variable}")
