"""One resource per event loop, such as a connection pool, closed when its loop ends."""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Generic, TypeAlias, TypeVar

T = TypeVar("T")

_Held: TypeAlias = dict[asyncio.AbstractEventLoop, tuple[AsyncGenerator[T, None], T]]


class PerLoop(Generic[T]):
    """Opens a resource once in every event loop that asks for it.

    Connections belong to the loop that made them, and a client may be used from several: one `asyncio.run` after
    another, a portal thread, a notebook. Each resource is owned by an async generator started in its loop, because
    `asyncio.run` and its relatives close what generators are still open before they close the loop: nobody has to
    call `aclose`.

    Args:
        open: makes the resource. It must not hold on to the owner of this object.
        close: frees it, in its own loop.
    """

    def __init__(self, open: Callable[[], T], close: Callable[[T], Awaitable[object]]) -> None:
        self._open = open
        self._close = close
        self._held: _Held[T] = {}
        # Held from outside any reference cycle that the owner may be part of: the collector would otherwise finalise
        # the resource together with its generator, and warn that nobody closed it. Dropping the generators is enough;
        # asyncio then closes each in its loop.
        weakref.finalize(self, self._held.clear).atexit = False

    async def get(self) -> T:
        """The running loop's resource, opened now if need be."""
        loop = asyncio.get_running_loop()
        if loop not in self._held:
            owner = _own(self._open, self._close, self._held, loop)
            # Opening does not suspend, so no other task can open a second one meanwhile.
            self._held[loop] = owner, await anext(owner)
        return self._held[loop][1]

    async def aclose(self) -> None:
        """Closes the running loop's resource, and has other running loops close theirs. Idempotent."""
        here = asyncio.get_running_loop()
        for loop in list(self._held):
            if loop is here:
                owner, _ = self._held.pop(loop)
                await owner.aclose()
            elif loop.is_closed():
                self._held.pop(loop, None)
            elif loop.is_running() and (held := self._held.pop(loop, None)):
                _close_there(loop, held[0])


def _close_there(loop: asyncio.AbstractEventLoop, owner: AsyncGenerator[T, None]) -> None:
    """Closes in another thread's loop, without waiting: that thread may be waiting for this one."""

    async def close() -> None:
        await owner.aclose()

    with contextlib.suppress(RuntimeError):  # the loop ended just now, and closed it
        loop.call_soon_threadsafe(lambda: loop.create_task(close()))


async def _own(
    open: Callable[[], T],
    close: Callable[[T], Awaitable[object]],
    held: _Held[T],
    loop: asyncio.AbstractEventLoop,
) -> AsyncGenerator[T, None]:
    resource = open()
    try:
        yield resource
    finally:
        if loop in held and held[loop][1] is resource:
            del held[loop]
        await close(resource)
