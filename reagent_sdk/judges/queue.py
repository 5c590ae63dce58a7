"""Verdicts on many pieces of work, as training asks for them.

They are asked for at once, and each content only once; a judge that is down is waited for, and ends the run when it
stays down.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

import anyio

from reagent_sdk.errors import ReagentError
from reagent_sdk.judges.base import Judge, heard
from reagent_sdk.task import Task
from reagent_sdk.trajectory import Trajectory
from reagent_sdk.verdict import Verdict, VerdictStatus

_KEPT = 10_000
_FIRST_WAIT, _LONGEST_WAIT = 1.0, 60.0

Piece = tuple[Task, Trajectory]
Job = Callable[[], Awaitable[Verdict]]


class Runs(Protocol):
    """Runs jobs side by side."""

    async def __call__(self, jobs: Sequence[Job]) -> list[Verdict]:
        """Their results in order."""


class JudgeDown(ReagentError):
    """The judge gave no score for so long that a run would learn nothing.

    Attributes:
        verdict: the last failed verdict, with its status and reason.
    """

    def __init__(self, message: str, verdict: Verdict) -> None:
        super().__init__(message)
        self.verdict = verdict


class JudgeQueue:
    """Asks a judge about many pieces of work.

    Args:
        judge: who judges.
        concurrency: pieces that are judged at a time.
        patience: failures in a row after which the judge counts as down.
        wait_seconds: how long a judge that is unavailable is asked again for one batch, with growing pauses.
        redacted: remove answers that critiques give away, as for critiques that an agent reads.
        run: runs the jobs of a batch; by default `concurrency` of them at a time.
    """

    def __init__(
        self,
        judge: Judge,
        *,
        concurrency: int = 16,
        patience: int = 64,
        wait_seconds: float = 0.0,
        redacted: bool = False,
        run: Runs | None = None,
    ) -> None:
        self._judge = judge
        self._concurrency = concurrency
        self._patience = patience
        self._wait_seconds = wait_seconds
        self._redacted = redacted
        self._run: Runs = run or self._some_at_a_time
        self._failures = 0
        self._known: OrderedDict[str, Verdict] = OrderedDict()

    async def verdicts(self, work: Sequence[Piece]) -> list[Verdict]:
        """The verdicts in order. What was scored before is not judged again; what failed has a failed verdict.

        Raises:
            JudgeDown: the judge failed for too long.
            BudgetExceeded: the budget allows no further call.
        """
        keys = [key_of(task, trajectory) for task, trajectory in work]
        unknown = {key: one for key, one in zip(keys, work, strict=True) if key not in self._known}
        new = await self._heard(unknown)
        verdicts = [self._known[key] if key in self._known else new[key] for key in keys]
        self._remember(keys, new)
        return verdicts

    async def aclose(self) -> None:
        """Closes the judge."""
        await self._judge.aclose()

    async def _heard(self, unknown: Mapping[str, Piece]) -> dict[str, Verdict]:
        """Verdicts by key; those of a judge that is unavailable are asked for again while there is patience."""
        deadline, pause = time.monotonic() + self._wait_seconds, _FIRST_WAIT
        verdicts = await self._ask(unknown)
        while down := [key for key, verdict in verdicts.items() if verdict.status is VerdictStatus.UNAVAILABLE]:
            left = deadline - time.monotonic()
            if left <= 0:
                break
            await anyio.sleep(min(pause, left))
            pause = min(2 * pause, _LONGEST_WAIT)
            verdicts |= await self._ask({key: unknown[key] for key in down})
        self._count(list(verdicts.values()), waited=self._wait_seconds > 0)
        return verdicts

    async def _ask(self, unknown: Mapping[str, Piece]) -> dict[str, Verdict]:
        def job(piece: Piece) -> Job:
            return lambda: heard(self._judge, *piece, redacted=self._redacted)

        return dict(zip(unknown, await self._run([job(piece) for piece in unknown.values()]), strict=True))

    async def _some_at_a_time(self, jobs: Sequence[Job]) -> list[Verdict]:
        places = asyncio.Semaphore(self._concurrency)

        async def one(job: Job) -> Verdict:
            async with places:
                return await job()

        return list(await asyncio.gather(*map(one, jobs)))

    def _count(self, verdicts: Sequence[Verdict], *, waited: bool) -> None:
        dead = waited and all(verdict.status is VerdictStatus.UNAVAILABLE for verdict in verdicts)
        for verdict in verdicts:
            self._failures = 0 if verdict.scored else self._failures + 1
            if self._failures >= self._patience or dead:
                why = f"{verdict.status}: {verdict.reason}"
                name = self._judge.name
                raise JudgeDown(f"the judge {name!r} failed {self._failures} times in a row; {why}", verdict)

    def _remember(self, keys: Sequence[str], new: Mapping[str, Verdict]) -> None:
        self._known |= {key: verdict for key, verdict in new.items() if verdict.scored}
        for key in keys:
            if key in self._known:
                self._known.move_to_end(key)
        while len(self._known) > _KEPT:
            self._known.popitem(last=False)


def key_of(task: Task, trajectory: Trajectory) -> str:
    """Names what is judged by its content; what the work took is none of it, and differs each time."""
    content = [
        task.model_dump(mode="json", exclude={"id", "metadata"}),
        trajectory.model_dump(mode="json", exclude={"usage"}),
    ]
    text = json.dumps([content, task.metadata], sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
