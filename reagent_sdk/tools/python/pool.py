"""Kernels for many attempts at once: a bounded number, some started ahead, each used by one attempt and thrown away."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Self, TypeVar

from reagent_sdk.errors import InvalidInput
from reagent_sdk.tools.python.kernel import Confined
from reagent_sdk.tools.python.sandbox import Sandbox
from reagent_sdk.tools.python.turns import Turns

T = TypeVar("T")


class KernelPool:
    """Hands out kernels, in the order they were asked for. Never the same one twice: state cannot leak.

    One pool serves any number of tools, event loops and threads. `aclose()`, leaving it as a context manager, or the
    end of the interpreter ends the kernels that wait in it.
    """

    def __init__(self, size: int | None = None, *, prewarm: int = 0, wait: float = 600.0) -> None:
        """Makes an empty pool.

        Args:
            size: how many attempts may have a kernel at a time, of 60 to 100 MB each; by default four a processor.
            prewarm: how many kernels to keep started beside them, once the first has been asked for.
            wait: seconds that an attempt waits for its turn.
        """
        size = 4 * (os.cpu_count() or 1) if size is None else size
        if size < 1 or prewarm < 0 or wait <= 0:
            raise InvalidInput(f"a pool needs size >= 1, prewarm >= 0 and wait > 0, not {size}, {prewarm} and {wait}")
        self.size = size
        self._prewarm, self._wait = prewarm, wait
        self._turns = Turns(size)
        self._idle: list[Confined] = []
        self._lock = threading.Lock()
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Waits until this attempt may have a kernel.

        Raises:
            TimeoutError: the pool's `wait` is over.
        """
        try:
            async with self._turns.turn(self._wait):
                yield
        except TimeoutError:
            raise TimeoutError(f"all {self.size} kernels were busy for {self._wait:g} seconds") from None

    async def take(self, sandbox: Sandbox) -> Confined:
        """A kernel that nobody has used: one started ahead, else a new one, which may not answer yet."""
        return await in_thread(lambda: self._taken(sandbox), undo=Confined.close)

    async def warm(self, sandbox: Sandbox | None = None) -> None:
        """Starts kernels ahead, until `prewarm` of them wait."""
        await in_thread(lambda: self._fill(sandbox or Sandbox()))

    async def aclose(self) -> None:
        """Ends the kernels that wait; those in use end with their attempts."""
        await in_thread(self._drain)

    def _taken(self, sandbox: Sandbox) -> Confined:
        with self._lock:
            fit = next((kernel for kernel in self._idle if kernel.sandbox == sandbox), None)
            if fit is not None:
                self._idle.remove(fit)
        if fit is not None and not fit.alive():
            fit.close()
            fit = None
        kernel = fit or Confined(sandbox)
        self._fill(sandbox)
        return kernel

    def _fill(self, sandbox: Sandbox) -> None:
        while True:
            with self._lock:
                if self._closed or len(self._idle) >= self._prewarm:
                    return
                self._idle.append(Confined(sandbox))

    def _drain(self) -> None:
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for kernel in idle:
            kernel.close()


async def in_thread(work: Callable[[], T], *, undo: Callable[[T], None] | None = None) -> T:
    """Runs blocking work in a thread, to its end even when the caller is cancelled.

    Args:
        work: what to run.
        undo: what to do with its result if nobody waits for it any more.
    """
    running = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        running.add_done_callback(lambda done: _settle(done, undo))
        raise


def _settle(done: asyncio.Future[T], undo: Callable[[T], None] | None) -> None:
    if not done.cancelled() and done.exception() is None and undo is not None:
        undo(done.result())
