"""Where search results come from. One file a provider."""

from __future__ import annotations

from reagent_sdk.tools.search.providers.base import (
    Hit,
    ProviderDown,
    ProviderMisconfigured,
    RateLimited,
    SearchFailed,
    SearchProvider,
)
from reagent_sdk.tools.search.providers.brave import Brave
from reagent_sdk.tools.search.providers.default import default_providers
from reagent_sdk.tools.search.providers.duckduckgo import DuckDuckGo
from reagent_sdk.tools.search.providers.first_of import FirstOf
from reagent_sdk.tools.search.providers.pace import Pace
from reagent_sdk.tools.search.providers.searxng import SearXNG
from reagent_sdk.tools.search.providers.serper import Serper
from reagent_sdk.tools.search.providers.tavily import Tavily

__all__ = [
    "Brave",
    "DuckDuckGo",
    "FirstOf",
    "Hit",
    "Pace",
    "ProviderDown",
    "ProviderMisconfigured",
    "RateLimited",
    "SearXNG",
    "SearchFailed",
    "SearchProvider",
    "Serper",
    "Tavily",
    "default_providers",
]
