"""Where search results come from. One file a provider."""

from __future__ import annotations

from reagent_sdk.tools.providers.base import (
    Hit,
    ProviderDown,
    ProviderMisconfigured,
    RateLimited,
    SearchFailed,
    SearchProvider,
)
from reagent_sdk.tools.providers.brave import Brave
from reagent_sdk.tools.providers.default import default_providers
from reagent_sdk.tools.providers.duckduckgo import DuckDuckGo
from reagent_sdk.tools.providers.first_of import FirstOf
from reagent_sdk.tools.providers.pace import Pace
from reagent_sdk.tools.providers.searxng import SearXNG
from reagent_sdk.tools.providers.serper import Serper
from reagent_sdk.tools.providers.tavily import Tavily

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
