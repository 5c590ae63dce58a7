"""Many conversations side by side, and one model that answers them in batches.

Every conversation runs until it needs the model; when all of them wait or are done, one batch answers all that wait.
Tools of different conversations run at once in between. The order within a batch is that of the conversations and not
that of their arrival, so that the same seed gives the same batch.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from typing import Generic, TypeVar

Asked = TypeVar("Asked")
Reply = TypeVar("Reply")
Result = TypeVar("Result")

_place: ContextVar[int] = ContextVar("place of the conversation")


class Lockstep(Generic[Asked, Reply]):
    """Gathers what conversations ask, and answers all of it at once.

    Args:
        answer: answers a batch, in its order; it blocks the event loop, in which nobody has anything to do meanwhile.
    """

    def __init__(self, answer: Callable[[list[Asked]], Sequence[Reply]]) -> None:
        self._answer = answer
        self._running = 0
        self._waiting: list[tuple[int, Asked, asyncio.Future[Reply]]] = []

    async def run(self, jobs: Sequence[Callable[[], Awaitable[Result]]]) -> list[Result]:
        """Runs conversations to their ends; their results in order.

        Raises:
            Exception: what a conversation or the model raised first; the others are cancelled.
        """
        self._running, self._waiting = len(jobs), []
        tasks = [asyncio.create_task(self._one(place, job)) for place, job in enumerate(jobs)]
        try:
            return list(await asyncio.gather(*tasks))
        finally:
            self._waiting = []  # whoever still waits is cancelled, and needs no answer
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def ask(self, asked: Asked) -> Reply:
        """The model's reply to what one conversation asks; comes when every other one waits as well."""
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._waiting.append((_place.get(), asked, future))
        self._answer_if_all_wait()
        return await future

    async def _one(self, place: int, job: Callable[[], Awaitable[Result]]) -> Result:
        _place.set(place)
        result = await job()  # one that fails ends them all, and nobody is answered any more
        self._running -= 1
        self._answer_if_all_wait()
        return result

    def _answer_if_all_wait(self) -> None:
        if not self._waiting or len(self._waiting) < self._running:
            return
        batch, self._waiting = sorted(self._waiting, key=lambda one: one[0]), []
        try:
            replies = self._answer([asked for _, asked, _ in batch])
        except Exception as error:  # whoever waits hears of it, and the run ends
            for _, _, future in batch:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, _, future), reply in zip(batch, replies, strict=True):
            if not future.done():
                future.set_result(reply)
