"""What judges in a worker process: a class for Ray Data's `map_batches`, which knows nothing else of Ray."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from reagent_sdk.cli.bulk_plan import TRIES, Judged, Plan
from reagent_sdk.cli.judging import judge_record
from reagent_sdk.cli.terminal import as_json
from reagent_sdk.cli.verdicts import Scored
from reagent_sdk.errors import InvalidInput, MissingExtra, WeightsUnavailable
from reagent_sdk.judges.base import Judge
from reagent_sdk.records import Row, read_row
from reagent_sdk.specs import judge_for


class JudgeBlocks:
    """One judge, asked for several verdicts at a time.

    Args:
        plan: the judge's spec and how many verdicts to ask for at a time. The judge is made in this process: embedded
            weights are loaded here, keys come from the environment here.
        foreman: handle of the `Foreman` actor, which knows how often a block was begun.
    """

    def __init__(self, plan: Plan, foreman: Any) -> None:
        self._plan = plan
        self._foreman = foreman
        self._blocks = asyncio.Semaphore(plan.at_work)
        self._places = asyncio.Semaphore(1 if plan.alone else plan.concurrency)
        self._judge: Judge | None = None
        foreman.started.remote()

    async def __call__(self, batch: Mapping[str, Any]) -> dict[str, list[Any]]:
        """Judges one block.

        Args:
            batch: columns `block`, `ids`, `lines` and `texts`, each with one element.

        Returns:
            Column `judged` with one `Judged`, as JSON.
        """
        (block,), ids, lines, texts = (batch[name].to_pylist() for name in ("block", "ids", "lines", "texts"))
        rows = [Row(*row) for row in zip(ids[0], lines[0], texts[0], strict=True)]
        async with self._blocks:  # what only waits here when the process dies was not begun
            return {"judged": [as_json(await self._judged(block, rows))]}

    async def _judged(self, block: int, rows: list[Row]) -> Judged:
        if await self._foreman.begun.remote(block) > TRIES:
            return Judged(block, put_off=[(row.id, row.line) for row in rows])
        try:
            return Judged(block, verdicts=await asyncio.gather(*map(self._one, rows)))
        except (WeightsUnavailable, MissingExtra, InvalidInput) as error:
            return Judged(block, failed=(type(error).__name__, str(error)))

    async def _one(self, row: Row) -> str:
        record = read_row(row, self._plan.source)
        async with self._places:
            if self._judge is None:
                self._judge = judge_for(self._plan.spec)
            verdict = await judge_record(self._judge, record)
        return as_json(Scored(id=row.id, line=row.line, verdict=verdict))
