"""A judge that answers in time or not at all, so that an outage of it costs answers little."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from reagent_sdk.errors import BudgetExceeded
from reagent_sdk.judges.around import AroundJudge
from reagent_sdk.judges.base import Judge, settled
from reagent_sdk.task import Task
from reagent_sdk.trajectory import Trajectory
from reagent_sdk.verdict import Verdict, VerdictStatus


class PatientJudge(AroundJudge):
    """Another judge's verdicts, within a time limit; when it keeps failing it is left alone for a while.

    After `failures` verdicts in a row that it was not available for, runs go without it for `rest` seconds; then one
    of them tries it again. It has the name, the gate and all else that the judge has.

    Args:
        judge: who judges; closed together with this.
        seconds: longest time for one verdict.
        failures: how many in a row are too many.
        rest: seconds in which it is not asked then.
        clock: seconds, for tests.

    Attributes:
        known_down: set it while somebody knows that the judge cannot be reached: it is not asked then.
    """

    def __init__(
        self,
        judge: Judge,
        *,
        seconds: float = 120.0,
        failures: int = 5,
        rest: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(judge)
        self._seconds = seconds
        self._limit = failures
        self._rest = rest
        self._clock = clock
        self._failures = 0
        self._again_at = 0.0
        self.known_down = False

    @property
    def resting(self) -> bool:
        """Whether it is left alone now."""
        return self.known_down or (self._failures >= self._limit and self._clock() < self._again_at)

    def found_up(self) -> None:
        """Tells that the judge can be reached: what failed before is forgotten."""
        self.known_down, self._failures = False, 0

    async def judge(self, task: Task, trajectory: Trajectory) -> Verdict:
        """The judge's verdict, or one that says that there was none in time.

        Raises:
            BudgetExceeded: the run's budget allows no further call.
        """
        if self.resting:
            return Verdict.failed(
                VerdictStatus.UNAVAILABLE, "the judge keeps failing and is not asked", judge=self.name
            )
        if self._failures >= self._limit:
            self._again_at = self._clock() + self._rest  # one request tries; the others go without meanwhile

        async def ask() -> Verdict:
            async with asyncio.timeout(self._seconds):
                return await self._judge.judge(task, trajectory)

        try:
            verdict = await settled(ask, self.name)
        except BudgetExceeded:
            raise
        if verdict.status is VerdictStatus.UNAVAILABLE:
            self._failures += 1
            self._again_at = self._clock() + self._rest
        else:
            self._failures = 0
        return verdict
