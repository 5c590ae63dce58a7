"""Whose turn it is: first come, first served, across event loops and threads."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turns:
    """A bounded number of turns at a time. Unlike `asyncio.Semaphore`, not bound to one event loop."""

    def __init__(self, size: int) -> None:
        self._free = size
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._lock = threading.Lock()

    @asynccontextmanager
    async def turn(self, seconds: float) -> AsyncIterator[None]:
        """Waits for a turn and holds it.

        Raises:
            TimeoutError: none came within the time.
        """
        await self._take(seconds)
        try:
            yield
        finally:
            self._give()

    async def _take(self, seconds: float) -> None:
        place = asyncio.get_running_loop().create_future()
        with self._lock:
            if self._free > 0:
                self._free -= 1
                return
            self._waiting.append(place)
        try:
            await asyncio.wait_for(asyncio.shield(place), seconds)
        except BaseException:
            self._leave(place)
            raise

    def _leave(self, place: asyncio.Future[None]) -> None:
        """Gives up waiting. A turn that was handed over in the same moment goes to the next."""
        with self._lock:
            waiting = place in self._waiting
            if waiting:
                self._waiting.remove(place)
        if not waiting:
            self._give()

    def _give(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._free += 1
                    return
                place = self._waiting.popleft()
            try:
                place.get_loop().call_soon_threadsafe(_grant, place)
            except RuntimeError:
                continue  # the loop it waited in is gone
            return


def _grant(place: asyncio.Future[None]) -> None:
    if not place.done():
        place.set_result(None)
