"""Sync use and clean closing, the same for every adapter with an object of its own."""

from __future__ import annotations

from typing import Self

import anyio.to_thread

from reagent_adapters.critique import Critique
from reagent_sdk.portal import Portal


class Closing:
    """Holds the settings and the portal for sync calls, and closes both.

    Close it when done (`close`, `with`, `async with`); one that is dropped or still open at exit closes itself.
    """

    def __init__(self, critique: Critique) -> None:
        self.critique = critique
        self._portal = Portal(critique.aclose)

    def close(self) -> None:
        """Frees the judge, unless it was passed in, and the thread of sync calls. Idempotent."""
        if self.critique.owned:
            self._portal.call(self.critique.aclose)
        self._portal.close()

    async def aclose(self) -> None:
        """Like :meth:`close`, in the caller's event loop."""
        await self.critique.aclose()
        await anyio.to_thread.run_sync(self._portal.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
