"""Server-sent events to one caller: signs of life while there is nothing to say, no faster than the caller reads."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reagent_adapters.proxy.refusals import refusal_for
from reagent_adapters.proxy.upstream import BrokenOff
from reagent_sdk.serving.answers import Refused
from reagent_sdk.serving.relay import EVENTS

if TYPE_CHECKING:
    from starlette.types import Send

_WORKING = b": working\n\n"
_AHEAD = 256 * 2**10
"""Bytes that wait for a slow reader at most, besides one piece."""


@dataclass(frozen=True)
class Pace:
    """How a stream is kept alive and given up.

    Attributes:
        keepalive: seconds of silence after which a comment is sent.
        stall: seconds after which a caller that takes nothing is cut off.
    """

    keepalive: float = 5.0
    stall: float = 600.0


class EventStream:
    """One stream of events. Single use.

    The head of the answer is sent with the first piece, or when the first sign of life is due. What fails before is
    raised, so that it becomes an answer with a proper status; what fails after becomes an event.

    Args:
        send: where to.
        pieces: the events, encoded.
        pace: its timing.
        wrong: encodes what went wrong as an event.
    """

    def __init__(
        self, send: Send, pieces: AsyncGenerator[bytes, None], pace: Pace, wrong: Callable[[Refused], bytes]
    ) -> None:
        self._send = send
        self._pieces = pieces
        self._pace = pace
        self._wrong = wrong
        self._buffer = bytearray()
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._started = False

    async def run(self) -> None:
        """Sends all of it.

        Raises:
            Exception: what `pieces` raised before the answer began.
            BrokenOff: it failed later, or the caller takes nothing.
        """
        pumping = asyncio.ensure_future(self._pump())
        pumping.add_done_callback(lambda _: self._news.set())
        try:
            await self._relay(pumping)
            await self._end(pumping.exception())
        finally:
            pumping.cancel()
            await asyncio.gather(pumping, return_exceptions=True)

    async def _pump(self) -> None:
        """Takes pieces as they come, as long as there is room for them."""
        async with aclosing(self._pieces):
            async for piece in self._pieces:
                self._buffer += piece
                self._news.set()
                if len(self._buffer) > _AHEAD:
                    self._room.clear()
                    await self._room.wait()

    async def _relay(self, pumping: asyncio.Future[None]) -> None:
        """Sends what has gathered, until there is nothing more to come."""
        while True:
            heard = await _within(self._pace.keepalive, self._news)
            if self._buffer:
                part = bytes(self._buffer)
                self._buffer.clear()
                self._room.set()
                await self._put(part)
            elif pumping.done():
                return
            elif not heard:
                await self._put(_WORKING)

    async def _end(self, error: BaseException | None) -> None:
        refused = refusal_for(error) if isinstance(error, Exception) else None
        if error is not None and (refused is None or not self._started):
            raise error
        await self._put(self._wrong(refused) if refused else b"", last=True)
        if error is not None:
            raise BrokenOff

    async def _put(self, part: bytes, *, last: bool = False) -> None:
        try:
            async with asyncio.timeout(self._pace.stall):
                if not self._started:
                    self._started = True
                    await self._send({"type": "http.response.start", "status": 200, "headers": list(EVENTS)})
                await self._send({"type": "http.response.body", "body": part, "more_body": not last})
        except TimeoutError:
            raise BrokenOff from None


async def _within(seconds: float, news: asyncio.Event) -> bool:
    """Whether there was news before the time was up."""
    try:
        async with asyncio.timeout(seconds):
            await news.wait()
    except TimeoutError:
        return False
    news.clear()
    return True


def encoded(value: Any) -> bytes:
    """A value as compact JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
