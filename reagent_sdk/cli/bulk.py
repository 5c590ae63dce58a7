"""Judging on a Ray cluster: rows go through a Ray Data pipeline, and every verdict comes back to one writer.

Exactly once: Ray Data runs a block again when its worker dies, and may hand back a verdict twice. Only this process
writes the file of verdicts, and the index of the input tells it which records have one. Whatever Ray loses lacks its
verdict at the end of a pass, and there is another one. What was under way when this process itself dies is judged again
by the next run, which finds everything else in the file.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from reagent_sdk.cli.bulk_cluster import joined
from reagent_sdk.cli.bulk_feed import Broken, hired, passed
from reagent_sdk.cli.bulk_plan import EVERY_NODE, TRIES, Judged, Plan, why
from reagent_sdk.cli.judging import PATIENCE, Patience
from reagent_sdk.cli.record_file import RecordFile
from reagent_sdk.cli.verdicts import Scored
from reagent_sdk.errors import InvalidInput, ReagentError, WeightsUnavailable
from reagent_sdk.verdict import Verdict, VerdictStatus


@dataclass(frozen=True)
class Bulk:
    """How to judge on Ray.

    Attributes:
        spec: the judge, made anew in each worker.
        workers: worker processes, each an actor in Ray Data's pool that takes one CPU.
        concurrency: verdicts under way at a time in each.
        address: the cluster, as `bulk_cluster.joined` takes it.
    """

    spec: str
    workers: int = 2
    concurrency: int = 4
    address: str | None = None


async def judge_on_ray(file: RecordFile, keep: Callable[[Scored], None], bulk: Bulk) -> bool:
    """Judges the records that have no verdict yet, and passes each verdict on as it comes.

    Returns:
        Whether all of them were judged; False when the judge was unavailable from the beginning.

    Raises:
        MissingExtra: Ray is not installed.
        InvalidInput: the file was changed meanwhile, or the judge cannot work in the workers.
        WeightsUnavailable: a worker cannot load the judge.
        ReagentError: the cluster cannot be joined, no worker can be started, or Ray breaks down again and again.
    """
    with joined(bulk.address, bulk.workers) as ray:
        return await _Session(file, keep, bulk, ray).run()


class _Session:
    """The passes of one run, and the account of what has its verdict."""

    def __init__(self, file: RecordFile, keep: Callable[[Scored], None], bulk: Bulk, ray: Any) -> None:
        self._file = file
        self._keep = keep
        self._bulk = bulk
        self._ray = ray
        self._limit = max(PATIENCE, bulk.concurrency * bulk.workers)
        self._patience = Patience(self._limit)
        self._answered = False
        self._settled = 0
        self._put_off: list[Scored] = []

    async def run(self) -> bool:
        """Passes over what has no verdict until there is none; whether it came to the end."""
        alone, breakdowns = False, 0
        while (n_rows := self._file.index.n_missing) and not self._patience.over:
            bulk, settled = self._bulk, self._settled
            plan = Plan(bulk.spec, self._file.name, bulk.workers, bulk.concurrency, n_rows, alone)
            try:
                await self._pass(plan)
                alone = True  # what is missing now was put off
            except (Broken, self._ray.exceptions.RayActorError) as error:
                breakdowns = 0 if self._settled > settled else breakdowns + 1
                if breakdowns == TRIES:
                    raise ReagentError(f"Ray breaks down again and again: {why(error)}; {EVERY_NODE}") from error
        for scored in self._put_off if self._patience.over else ():
            self._settle(scored)
        return not self._patience.over

    async def _pass(self, plan: Plan) -> None:
        foreman = hired(self._ray, plan)
        try:
            judged = passed(plan, self._file.missing(), foreman, lambda: self._room(plan))
            async with aclosing(judged):
                async for block in judged:
                    self._take(block, plan)
                    if self._patience.over:
                        return
        finally:
            self._ray.kill(foreman)  # and Ray ends what it has started

    def _room(self, plan: Plan) -> int:
        """Rows that may be with Ray; before the judge's first answer, no more than its failures may cost."""
        return plan.n_waiting * plan.size if self._answered else self._limit

    def _take(self, block: Judged, plan: Plan) -> None:
        if block.failed is not None:
            kind, reason = block.failed
            error = InvalidInput if kind == InvalidInput.__name__ else WeightsUnavailable
            raise error(f"in a worker: {reason}")
        for line in block.verdicts:
            scored = Scored.model_validate_json(line)
            self._settle(scored)
            self._hear(scored)
        for key, number in block.put_off:
            lost = _lost(key, number)
            self._hear(lost)
            if plan.alone:
                self._settle(lost)
            else:
                self._put_off.append(lost)

    def _hear(self, scored: Scored) -> None:
        self._patience.heard(scored.verdict)
        self._answered |= scored.verdict.status is not VerdictStatus.UNAVAILABLE

    def _settle(self, scored: Scored) -> None:
        if self._file.index.settle(scored.id):  # else it was judged twice
            self._keep(scored)
            self._settled += 1


def _lost(key: str, line: int) -> Scored:
    reason = f"the worker process died {TRIES} times while it judged this record"
    return Scored(id=key, line=line, verdict=Verdict.failed(VerdictStatus.UNAVAILABLE, reason))
