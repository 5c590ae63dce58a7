"""Sync use and clean closing, the same for every adapter with an object of its own."""

from __future__ import annotations

from reagent_adapters import critique
from reagent_sdk import closing


class Closing(closing.Closing):
    """Holds the settings and the portal for sync calls, and closes both; a judge that was passed in stays open."""

    def __init__(self, settings: critique.Critique) -> None:
        super().__init__(settings.aclose, owns=settings.owned)
        self.critique = settings
