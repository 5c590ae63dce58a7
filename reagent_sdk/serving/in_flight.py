"""How many requests are served at a time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from reagent_sdk.serving.answers import Refused

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


class InFlight:
    """Counts requests, and refuses those beyond a limit at once instead of letting them wait out their caller.

    Attributes:
        count: requests being served.
    """

    def __init__(self, limit: int) -> None:
        self.count = 0
        self._limit = limit
        self._idle = asyncio.Event()
        self._idle.set()

    def around(self, app: ASGIApp) -> ASGIApp:
        """An app that counts towards this limit, together with all others that do."""

        async def limited(scope: Scope, receive: Receive, send: Send) -> None:
            if self.count >= self._limit:
                told = f"{self._limit} requests are being served, which is the limit; try again later"
                await Refused(429, told, retry_after=1).send(scope, receive, send)
                return
            self.count += 1
            self._idle.clear()
            try:
                await app(scope, receive, send)
            finally:
                self.count -= 1
                if not self.count:
                    self._idle.set()

        return limited

    async def wait_idle(self) -> None:
        """Returns when no request is being served."""
        await self._idle.wait()
