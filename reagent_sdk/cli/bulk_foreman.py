"""The foreman: a Ray actor between the command, which alone sees the files, and the Ray Data pipeline that it runs.

It is there for what Ray Data does not do by itself:

- Rows reach a pipeline as they are needed from a process that no node shares a disk with, and never all at once.
- Ray Data runs a block whose worker died again without end. The foreman counts, so that rows that kill are put off.
- The pipeline blocks, prints, logs and sets a process-wide context. Here it does so outside of the command, which
  stays free to listen to Ctrl-C, and ends it all by killing one actor.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress

from reagent_sdk.cli.bulk_plan import Judged, Plan, Report, RowData, why

_LISTEN = 1.0
"""Seconds after which a report comes even if there is nothing to tell."""
_TAKEN_AT_ONCE = 32
"""Blocks that a read task gets at a time."""


class Foreman:
    """Holds the blocks that were handed to it until they are judged.

    Args:
        plan: what to judge, and how.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._blocks: dict[int, list[RowData]] = {}
        self._begun: Counter[int] = Counter()
        self._next = 0  # number of the block that comes next
        self._arrived = asyncio.Condition()
        self._news = asyncio.Event()
        self._judged: list[Judged] = []
        self._started = False
        self._trouble: str | None = None
        self._pipeline: asyncio.Task[None] | None = None

    async def exchange(self, blocks: list[list[RowData]]) -> Report:
        """Takes further blocks, and tells what came back; waits a moment for that."""
        if self._pipeline is None:
            self._pipeline = asyncio.create_task(self._run())
        async with self._arrived:
            self._blocks.update(enumerate(blocks, self._next))
            self._next += len(blocks)
            self._arrived.notify_all()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), _LISTEN)
        self._news.clear()
        judged, self._judged = self._judged, []
        return Report(judged, self._started, self._trouble)

    async def take(self, numbers: range) -> list[list[RowData]]:
        """The blocks with these numbers, as far as they have come, but at least the first. Empty where judged already.

        A read task that is run again asks once more, and gets the same.
        """
        async with self._arrived:
            await self._arrived.wait_for(lambda: numbers.start < self._next)
        there = range(numbers.start, min(numbers.stop, self._next))[:_TAKEN_AT_ONCE]
        return [self._blocks.get(number, []) for number in there]

    async def begun(self, block: int) -> int:
        """How often the block was begun, this time included."""
        self._begun[block] += 1
        return self._begun[block]

    async def started(self) -> None:
        """A worker has started."""
        self._started = True

    async def _run(self) -> None:
        try:
            judged = await asyncio.to_thread(self._iterator)
            while (one := await asyncio.to_thread(next, judged, None)) is not None:
                self._begun.pop(one.block, None)
                if self._blocks.pop(one.block, None) is not None:  # else it was judged twice
                    self._judged.append(one)
                    self._news.set()
        except Exception as error:  # whatever it is, the command decides
            what = "Ray Data gave up" if self._started else "the workers do not start"
            self._trouble = f"{what}: {why(error)}"
        else:
            self._trouble = "Ray Data came to its end too early"
        self._news.set()

    def _iterator(self) -> Iterator[Judged]:
        import ray

        from reagent_sdk.cli.bulk_pipeline import judged_blocks

        return judged_blocks(self._plan, ray.get_runtime_context().current_actor)
