"""How fast a provider may be asked."""

from __future__ import annotations

import threading
import time
from collections.abc import Awaitable, Callable

import anyio

from reagent_sdk.tools.search.providers.base import RateLimited, SearchFailed


class Pace:
    """Spaces the requests to one provider, and waits when the provider asked for it.

    Share it between all that use the same key. It may be used from any number of threads and event loops.

    Args:
        interval: seconds between the starts of two requests.
        patience: longest wait for a turn; when it would be longer the request is refused, and somebody else is asked.
        clock: seconds that only go forward; tests pass their own.
        sleep: how to wait; tests pass one that does not.
    """

    def __init__(
        self,
        interval: float = 0.0,
        *,
        patience: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    ) -> None:
        self.interval = interval
        self.patience = patience
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._next = float("-inf")
        self._why = ""

    async def turn(self) -> None:
        """Waits for this request's turn.

        Raises:
            RateLimited: the wait would be longer than `patience`.
        """
        with self._lock:
            now = self._clock()
            begin = max(now, self._next)
            wait = begin - now
            if wait <= 0:
                self._why = ""  # what was held against it is over
            if wait <= self.patience:
                self._next = begin + self.interval
        if wait > self.patience:
            why = self._why or "too many requests at once"
            raise RateLimited(f"{why}; not asked again for {wait:.0f} s", retry_after=wait)
        if wait > 0:
            await self._sleep(wait)

    def hold(self, error: SearchFailed) -> None:
        """Sends nothing for as long as the error says."""
        if error.retry_after is None:
            return
        with self._lock:
            until = self._clock() + error.retry_after
            if until > self._next:
                self._next, self._why = until, error.reason
