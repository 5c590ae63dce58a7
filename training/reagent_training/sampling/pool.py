"""Many pieces of work side by side, within a budget."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from reagent_sdk.errors import BudgetExceeded

T = TypeVar("T")

PATIENCE = 8
"""A model that never answered is given up after so many failures; going through everything could take days."""


async def work_through(items: Iterable[T], work: Callable[[T], Awaitable[None]], *, concurrency: int) -> str | None:
    """Does all pieces, `concurrency` at a time.

    At a limit of the budget nothing new is begun. What is under way is paid for and finished.

    Args:
        items: the pieces; taken one by one.
        work: does one.
        concurrency: how many at a time, at least 1.

    Returns:
        The limit of the budget that ended it ("tokens", "usd", ...); None when all is done.

    Raises:
        Exception: what `work` raises, but for a budget; the others are cancelled then.
    """
    queue = iter(items)
    limits: list[str] = []

    async def worker() -> None:
        for item in queue:  # shared by all workers: each takes the next one
            try:
                await work(item)
            except BudgetExceeded as reached:
                limits.append(reached.limit)
            if limits:
                return

    workers = [asyncio.ensure_future(worker()) for _ in range(concurrency)]
    try:
        await asyncio.gather(*workers)
    finally:
        for one in workers:
            one.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
    return limits[0] if limits else None


class Patience:
    """Ends when a model failed `limit` times and never answered.

    Args:
        limit: how many failures.

    Attributes:
        tried: pieces of work that ended.
        failed: how many of them failed.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.tried = 0
        self.failed = 0

    def heard(self, *, answered: bool) -> None:
        """Takes note of how a piece of work ended."""
        self.tried += 1
        self.failed += not answered

    @property
    def over(self) -> bool:
        """Whether to give the model up."""
        return self.failed == self.tried >= self._limit
