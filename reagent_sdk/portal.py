"""Blocking calls into async code, from scripts, threads and running event loops alike."""

from __future__ import annotations

import threading
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack
from typing import Any, TypeVar

import anyio.from_thread

T = TypeVar("T")


class Portal:
    """One event loop in a thread of its own, started on first use and stopped by :meth:`close`.

    One loop for all calls keeps connections alive between them, and works where a loop runs already (a notebook),
    because nothing is nested. A portal that is dropped or still open at interpreter exit closes itself.

    Args:
        cleanup: awaited in the loop right before it stops, to free what is bound to it. It must not hold the portal's
            owner, or the owner would never be dropped.
    """

    def __init__(self, cleanup: Callable[[], Awaitable[None]] | None = None) -> None:
        self._cleanup = cleanup
        self._lock = threading.Lock()
        self._running: set[Future[Any]] = set()
        self._stack: ExitStack | None = None
        self._portal: anyio.from_thread.BlockingPortal | None = None

    def call(self, function: Callable[..., Awaitable[T]], *args: object) -> T:
        """Runs `await function(*args)` in the portal's loop and returns its result. Ctrl-C cancels it there."""
        future = self._open().start_task_soon(function, *args)
        self._running.add(future)
        try:
            return future.result()
        except BaseException:
            future.cancel()  # no effect when it is done; on KeyboardInterrupt the task must not run on
            raise
        finally:
            self._running.discard(future)

    def iterate(self, source: AsyncGenerator[T, None]) -> Iterator[T]:
        """Iterates over an async generator from blocking code; closing the iterator closes the generator."""
        try:
            while True:
                try:
                    item = self.call(source.__anext__)
                except StopAsyncIteration:
                    return
                yield item
        finally:
            self.call(source.aclose)

    def close(self) -> None:
        """Cancels the calls under way, stops the loop and joins its thread. Idempotent; a later call starts afresh."""
        with self._lock:
            stack, self._stack, self._portal = self._stack, None, None
        if stack is not None:
            stack.close()

    def _open(self) -> anyio.from_thread.BlockingPortal:
        with self._lock:
            if self._portal is None:
                stack = ExitStack()
                self._portal = stack.enter_context(anyio.from_thread.start_blocking_portal(name="reagent-portal"))
                if self._cleanup is not None:
                    stack.callback(self._portal.call, self._cleanup)
                stack.callback(_cancel, self._running)  # first, or stopping would wait for them
                self._stack = stack
                weakref.finalize(self, _close, stack, self._portal.call(_thread))
            return self._portal


async def _thread() -> int:
    return threading.get_ident()


def _cancel(running: set[Future[Any]]) -> None:
    for future in tuple(running):
        future.cancel()


def _close(stack: ExitStack, portal_thread: int) -> None:
    """Closes a dropped portal; the garbage collector may run in its very thread, which cannot join itself."""
    if threading.get_ident() == portal_thread:
        threading.Thread(target=stack.close, name="reagent-portal-closer", daemon=True).start()
    else:
        stack.close()
