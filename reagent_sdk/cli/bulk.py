"""Judging on a Ray cluster: rows go out to workers in small blocks, and every verdict comes back to one writer.

Exactly once: Ray runs a block again when its worker dies, but hands each block's reply to this process once, and only
this process writes the file of verdicts. What was under way when this process itself dies is judged again by the next
run, which finds everything else in the file.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from reagent_sdk.cli.bulk_cluster import joined
from reagent_sdk.cli.bulk_worker import JudgeWorker
from reagent_sdk.cli.judging import PATIENCE, Patience
from reagent_sdk.cli.record_file import RecordFile
from reagent_sdk.cli.records import Row
from reagent_sdk.cli.terminal import one_line, to_stderr
from reagent_sdk.cli.verdicts import Scored
from reagent_sdk.errors import InvalidInput, ReagentError, WeightsUnavailable
from reagent_sdk.verdict import Verdict, VerdictStatus

RETRIES = 4
"""How often Ray runs a block again whose worker died. After that its rows are put off, and each is tried alone."""
NOTICE = 30.0
"""Seconds without any worker after which we say what we are waiting for."""


@dataclass(frozen=True)
class Bulk:
    """How to judge on Ray.

    Attributes:
        spec: the judge, made anew in each worker.
        workers: worker processes, each a Ray actor that takes one CPU.
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
        ReagentError: the cluster cannot be joined, or no worker can be started.
    """
    with joined(bulk.address, bulk.workers) as ray:
        remote = ray.remote(num_cpus=1, max_restarts=-1, max_task_retries=RETRIES, scheduling_strategy="SPREAD")
        worker_class = remote(JudgeWorker)
        workers = [worker_class.remote(bulk.spec, bulk.concurrency, file.name) for _ in range(bulk.workers)]
        errors = ray.exceptions
        died = (errors.RayActorError, errors.ObjectLostError, errors.WorkerCrashedError, errors.OutOfMemoryError)
        try:
            return await _Session(file, keep, bulk, died).run(workers)
        finally:
            for worker in workers:
                ray.kill(worker)


class _Session:
    """The blocks of one run. `size` rows are a block; `depth` blocks are at a worker, under way or waiting there."""

    def __init__(
        self, file: RecordFile, keep: Callable[[Scored], None], bulk: Bulk, worker_died: tuple[type[Exception], ...]
    ) -> None:
        size = -(-bulk.concurrency // 4)
        self._depth = -(-2 * bulk.concurrency // size)  # twice what it judges at a time, so that it never runs dry
        self._blocks = _blocks(file.missing(), size)
        self._keep = keep
        self._patience = Patience(max(PATIENCE, bulk.concurrency * bulk.workers))
        self._worker_died = worker_died
        self._put_off: list[Row] = []
        self._up: Any = None  # a worker that has started
        self._busy = 0

    async def run(self, workers: list[Any]) -> bool:
        """Judges all blocks; whether it came to the end."""
        tasks = {asyncio.ensure_future(self._work(worker)) for worker in workers for _ in range(self._depth)}
        try:
            while tasks:
                wait = NOTICE if self._up is None else None
                done, tasks = await asyncio.wait(tasks, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
                for one in done:
                    one.result()
                if self._patience.over or (done and not self._busy):
                    break  # not for workers that the cluster had no room for
                if self._up is None:
                    to_stderr("no worker has started yet; each needs a CPU that is free (see `ray status`)")
        finally:
            for one in tasks:
                one.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for row in self._put_off:  # one after the other: the row that kills its worker takes no other one along
            await self._alone(self._up, row)
        return not self._patience.over

    async def _work(self, worker: Any) -> None:
        """Takes blocks to a worker until there are none, from when on it is there."""
        try:
            await worker.judge.remote([])
        except self._worker_died as error:
            reason = one_line(str(error), 500)
            raise ReagentError(
                f"the workers do not start: {reason}; every node needs this version of reagent-sdk[ray]"
            ) from error
        self._up = worker
        for block in self._blocks:  # shared by all: each takes the next one
            self._busy += 1
            try:
                self._take(await self._verdicts(worker, block))
            except self._worker_died:
                self._put_off += block
                for row in block:
                    self._patience.heard(_lost(row).verdict)
            self._busy -= 1
            if self._patience.over:
                return

    async def _alone(self, worker: Any, row: Row) -> None:
        """Judges a row that was under way when workers died, on its own."""
        try:
            self._take([_lost(row)] if self._patience.over else await self._verdicts(worker, [row]))
        except self._worker_died:
            self._take([_lost(row)])

    async def _verdicts(self, worker: Any, block: list[Row]) -> list[Scored]:
        reply = await worker.judge.remote([(row.id, row.line, row.text) for row in block])
        if "failed" in reply:
            error = InvalidInput if reply["failed"] == InvalidInput.__name__ else WeightsUnavailable
            raise error(f"in a worker: {reply['reason']}")
        return [Scored.model_validate_json(line) for line in reply["verdicts"]]

    def _take(self, verdicts: list[Scored]) -> None:
        for scored in verdicts:
            self._keep(scored)
            self._patience.heard(scored.verdict)


def _lost(row: Row) -> Scored:
    reason = f"the worker process died {RETRIES + 1} times while it judged this record"
    return Scored(id=row.id, line=row.line, verdict=Verdict.failed(VerdictStatus.UNAVAILABLE, reason))


def _blocks(rows: Iterator[Row], size: int) -> Iterator[list[Row]]:
    while block := list(islice(rows, size)):
        yield block
