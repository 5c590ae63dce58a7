"""Sync use and clean closing of an object whose work is async: one portal, one way to free what it holds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Self

import anyio.to_thread

from reagent_sdk.portal import Portal


class Closing:
    """Holds a portal for sync calls, and closes it with all that the object owns.

    Close it when done (`close`, `with`, `async with`); one that is dropped or still open at exit closes itself.

    Args:
        free: frees what is owned.
        owns: whether there is anything to free.
    """

    def __init__(self, free: Callable[[], Awaitable[None]], *, owns: bool) -> None:
        self._free = free
        self._owns = owns
        self._portal = Portal(free)

    def close(self) -> None:
        """Frees connections, threads and local models that belong to this object. Idempotent."""
        if self._owns:
            self._portal.call(self._free)
        self._portal.close()

    async def aclose(self) -> None:
        """Like :meth:`close`, in the caller's event loop."""
        await self._free()
        await anyio.to_thread.run_sync(self._portal.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
