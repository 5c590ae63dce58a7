"""Judging many stored trajectories side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

from reagent_sdk.errors import InvalidInput, MissingExtra, WeightsUnavailable
from reagent_sdk.judges.base import Judge
from reagent_sdk.records import Record
from reagent_sdk.verdict import Verdict, VerdictStatus

PATIENCE = 8
"""An unreachable judge is given up after so many verdicts; going through the whole file could take days."""


async def judge_all(
    judge: Judge, records: Iterator[Record], keep: Callable[[Record, Verdict], None], *, concurrency: int
) -> bool:
    """Judges the records, `concurrency` at a time, and passes each verdict on as it comes.

    Returns:
        Whether all of them were judged; False when the judge was unavailable from the beginning.

    Raises:
        InvalidInput: as the records' source raises.
        WeightsUnavailable: a local judge that cannot be loaded.
        MissingExtra: a judge that needs an extra.
    """
    patience = Patience(max(PATIENCE, concurrency))

    async def work() -> None:
        for record in records:  # shared by all workers: each takes the next one
            verdict = await judge_record(judge, record)
            keep(record, verdict)
            patience.heard(verdict)
            if patience.over:
                return

    workers = [asyncio.ensure_future(work()) for _ in range(concurrency)]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
    return not patience.over


class Patience:
    """Ends when the judge was unavailable from the beginning, `limit` times."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._failed = 0
        self._answered = False

    def heard(self, verdict: Verdict) -> None:
        """Takes note of a verdict."""
        if verdict.status is VerdictStatus.UNAVAILABLE:
            self._failed += 1
        else:
            self._answered = True

    @property
    def over(self) -> bool:
        """Whether to give the judge up."""
        return not self._answered and self._failed >= self._limit


async def judge_record(judge: Judge, record: Record) -> Verdict:
    """The verdict on one record, also when the judge breaks on it.

    Raises:
        WeightsUnavailable: a local judge that cannot be loaded.
        MissingExtra: a judge that needs an extra.
        InvalidInput: a judge that cannot work at all.
    """
    try:
        return await judge.judge(record.task, record.trajectory)
    except (WeightsUnavailable, MissingExtra, InvalidInput):
        raise  # the next record would fare no better
    except Exception as error:  # a judge that breaks on one record is an outcome, as it is in the loop
        return Verdict.failed(VerdictStatus.UNAVAILABLE, f"{type(error).__name__}: {error}", judge=judge.name)
