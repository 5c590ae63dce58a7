"""The judging half of a run: attempts come in from whoever makes them, a verdict and the next step come out."""

from __future__ import annotations

from collections.abc import Awaitable
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Any, Self, TypeVar
from uuid import uuid4

import anyio

from reagent_sdk import scope, telemetry
from reagent_sdk.agents import Feedback, Work
from reagent_sdk.budget import Budget, Meter
from reagent_sdk.decisions import choose, explain, needs_verdict, reason_to_stop, status_of
from reagent_sdk.errors import BudgetExceeded, InvalidInput, JudgeFailed, LowScore
from reagent_sdk.events import AttemptJudged, AttemptSolved, Event, RunFinished, Stage
from reagent_sdk.judges.base import Judge, heard
from reagent_sdk.marks import marks_for
from reagent_sdk.notes import standing_notes
from reagent_sdk.policy import Policy
from reagent_sdk.record import RunLog, append_safely
from reagent_sdk.run import Attempt, Run, RunStatus, StopReason
from reagent_sdk.task import Task
from reagent_sdk.trajectory import Trajectory
from reagent_sdk.usage import Usage
from reagent_sdk.verdict import Verdict

T = TypeVar("T")


class Review:
    """Judges the attempts of one run and says what follows each. Single use.

    :class:`CritiqueLoop` drives one with an agent. A framework that runs its own agent loop drives one itself:

        review = Review(task, judge, policy=policy)
        while (feedback := await review.submit(Work(trajectory, output))) is not None:
            ...  # a revision that answers feedback.critique
        run = await review.finish()

    Args:
        task: what was asked.
        judge: who judges.
        policy: the rules.
        budget: the limits.
        observe: called with each event.
        log: where the run is written when it finishes.
    """

    def __init__(
        self,
        task: Task,
        judge: Judge,
        *,
        policy: Policy | None = None,
        budget: Budget | None = None,
        observe: scope.Observer | None = None,
        log: RunLog | None = None,
    ) -> None:
        self.policy = policy or Policy()
        self.meter = Meter(budget, parent=scope.enclosing_meter())
        self.stop: StopReason | None = None
        self.span: telemetry.RunSpan | None = None
        self._task = task
        self._judge = judge
        self._marks = marks_for(self.policy, judge)
        self._redacted = self.policy.on_leak == "redact"
        self._observe = observe
        self._log = log
        self._id = uuid4().hex
        self._started_at = datetime.now(UTC)
        self._attempts: list[Attempt] = []
        self._outputs: list[Any] = []
        self._notes: list[str] = []
        self._finished: Run | None = None

    @classmethod
    def resumed(
        cls, run: Run, judge: Judge, *, observe: scope.Observer | None = None, log: RunLog | None = None
    ) -> Self:
        """Goes on with a run that :meth:`result` gave earlier, perhaps in another process.

        The outputs of its attempts are gone, only their trajectories are left. The time in between does not count.

        Raises:
            InvalidInput: the run was judged by another judge.
        """
        if run.judge != judge.name:
            raise InvalidInput(f"the run was judged by {run.judge!r}, and {judge.name!r} cannot go on with it")
        review = cls(run.task, judge, policy=run.policy, budget=run.budget, observe=observe, log=log)
        review.meter = Meter(run.budget, parent=scope.enclosing_meter(), used=run.usage, elapsed=run.seconds)
        review._id, review._started_at = run.id, run.started_at
        review._attempts = list(run.attempts)
        review._outputs = [None] * len(run.attempts)
        review._notes = [note for note in run.notes if note not in review._standing()]
        return review

    @property
    def count(self) -> int:
        """Attempts so far."""
        return len(self._attempts)

    async def submit(self, work: Work, feedback: Feedback | None = None) -> Feedback | None:
        """Judges one attempt and says what the next one has to answer; None when there is to be no other.

        Args:
            work: the attempt.
            feedback: what it answers; by default what the last call of :meth:`submit` gave.

        Raises:
            JudgeFailed: the judge gave no score and the policy makes that an error; `.run` keeps the draft.
        """
        await self.judged(work, feedback or self._last_feedback())
        return self.next()

    async def judged(self, work: Work, feedback: Feedback | None) -> Attempt:
        """Judges one attempt that answers `feedback`, and keeps it."""
        self.emit(AttemptSolved(self.count, work.trajectory))
        verdict = await self._hear(work.trajectory)
        attempt = Attempt(
            index=self.count,
            trajectory=work.trajectory,
            verdict=verdict,
            feedback=feedback.critique if feedback else None,
        )
        self._attempts.append(attempt)
        self._outputs.append(work.output)
        if verdict is not None:
            self.emit(AttemptJudged(attempt.index, verdict))
        return attempt

    def next(self) -> Feedback | None:
        """What the attempt after the last one has to answer; None when the run is over, for the reason in `stop`.

        Raises:
            JudgeFailed: as :meth:`submit` says.
        """
        last = self._attempts[-1]
        marks = marks_for(self.policy, self._judge, last.verdict)
        self.stop = reason_to_stop(self._attempts, self.policy, marks) or self._out_of_budget()
        if self.stop is StopReason.JUDGE_FAILED and self.policy.on_judge_failure == "raise" and last.verdict:
            verdict = last.verdict
            raise JudgeFailed(f"{verdict.status}: {verdict.reason}", verdict=verdict, run=self.result())
        return None if self.stop is not None else self._last_feedback()

    def ended(self, stop: StopReason, note: str = "") -> None:
        """Ends the run for a reason that lies outside of the attempts, such as an agent that failed."""
        self.stop = stop
        self._notes += [note] if note else []

    async def finish(self) -> Run:
        """The run, written to the log; afterwards it does not change.

        Raises:
            LowScore: the chosen attempt scored below the floor and the policy makes that an error.
        """
        await self.settle()
        run = self.result()
        self.emit(RunFinished(run))  # after the log: whoever sees it may stop listening
        if run.status is RunStatus.ABSTAINED and self.policy.on_low_score == "raise":
            raise LowScore(run.why, run=run)
        return run

    async def settle(self) -> None:
        """Fixes the run as it is and writes it to the log, also one that failed."""
        self._finished = self.result()
        if self._log is not None:
            await append_safely(self._log, self._finished)

    def result(self) -> Run:
        """The run so far; once it has finished, always the same."""
        if self._finished is not None:
            return self._finished
        chosen = choose(self._attempts, self.policy.keep)
        best = None if chosen is None else self._attempts[chosen]
        run = Run(
            id=self._id,
            started_at=self._started_at,
            task=self._task,
            attempts=tuple(self._attempts),
            chosen=chosen,
            stop=self.stop or StopReason.STOPPED,
            status=status_of(best, marks_for(self.policy, self._judge, best.verdict if best else None)),
            policy=self.policy,
            budget=self.meter.budget,
            threshold=self._marks.accept,
            revise_below=self._marks.revise_below,
            floor=self._marks.floor,
            judge=self._judge.name,
            usage=self.meter.usage,
            seconds=self.meter.elapsed,
            notes=(*self._standing(), *self._notes),
        )
        return run.model_copy(update={"why": explain(run)})

    def output(self) -> Any:
        """The very object that was submitted with the chosen attempt; None without attempts."""
        chosen = choose(self._attempts, self.policy.keep)
        return None if chosen is None else self._outputs[chosen]

    async def call(self, stage: Stage, call: Awaitable[T]) -> T:
        """Awaits a call inside the run's scope; at the deadline it is cancelled.

        Raises:
            BudgetExceeded: the time ran out.
        """
        limit = self.meter.remaining_seconds
        with scope.entered(scope.Scope(self.meter, self._observe, stage, self._judge, self._redacted)):
            with anyio.move_on_after(limit):
                return await call
        raise BudgetExceeded(
            "seconds", f"the budget of {limit:.3g} remaining seconds ran out during the {stage}'s call"
        )

    def emit(self, event: Event) -> None:
        """Shows an event to the observer, if there is one."""
        if self._observe is not None:
            self._observe(event)

    async def _hear(self, trajectory: Trajectory) -> Verdict | None:
        """The judge's verdict; None when none is needed or the budget allows none."""
        if not needs_verdict(self.count, self.policy):
            return None
        for earlier in self._attempts:
            if earlier.verdict and earlier.trajectory.same_work(trajectory):
                return earlier.verdict.model_copy(update={"usage": Usage(), "asks": 0})
        try:
            with self.span.judging() if self.span else nullcontext():
                return await self.call("judge", heard(self._judge, self._task, trajectory, redacted=self._redacted))
        except BudgetExceeded:
            return None

    def _last_feedback(self) -> Feedback | None:
        last = self._attempts[-1] if self._attempts else None
        return Feedback(last.trajectory, last.verdict.critique) if last and last.verdict else None

    def _out_of_budget(self) -> StopReason | None:
        """A revision that cannot be judged as well would be thrown away under keep="best"; it is not begun."""
        calls = 2 if needs_verdict(self.count, self.policy) else 1
        return StopReason.BUDGET if self.meter.exhausted(calls) else None

    def _standing(self) -> list[str]:
        return standing_notes(self._judge, self.policy, self._marks, self.meter)
