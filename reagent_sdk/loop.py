"""Solve, judge, revise: the loop itself."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import uuid4

import anyio

from reagent_sdk import scope
from reagent_sdk.agents import Agent, Feedback, Work
from reagent_sdk.budget import Budget, Meter
from reagent_sdk.decisions import choose, explain, needs_verdict, reason_to_stop, status_of
from reagent_sdk.errors import BudgetExceeded, JudgeFailed, LowScore
from reagent_sdk.events import AttemptJudged, AttemptSolved, AttemptStarted, Event, RunFinished, Stage
from reagent_sdk.judges.base import Judge, caveat_of, heard
from reagent_sdk.marks import marks_for
from reagent_sdk.policy import Policy
from reagent_sdk.record import RunLog, append_safely
from reagent_sdk.run import Attempt, Run, RunStatus, StopReason
from reagent_sdk.task import Task
from reagent_sdk.trajectory import Trajectory
from reagent_sdk.usage import Usage
from reagent_sdk.verdict import Verdict

T = TypeVar("T")


class CritiqueLoop:
    """One run over one task. Single use.

    Attempts come out one by one as they are judged, and whoever iterates may stop at any time; :meth:`result` is then
    the run so far. It never chooses an attempt that the judge holds worse than another one.

    Example:
        loop = CritiqueLoop(task, agent, judge)
        async for attempt in loop.attempts():
            print(attempt.answer, attempt.score)
        run = loop.result()
    """

    def __init__(
        self,
        task: Task,
        agent: Agent,
        judge: Judge,
        *,
        policy: Policy | None = None,
        budget: Budget | None = None,
        observe: scope.Observer | None = None,
        log: RunLog | None = None,
    ) -> None:
        self._task = task
        self._agent = agent
        self._judge = judge
        self._policy = policy or Policy()
        self._marks = marks_for(self._policy, judge)
        self._redacted = self._policy.on_leak == "redact"
        self._meter = Meter(budget, parent=scope.enclosing_meter())
        self._observe = observe
        self._log = log
        self._id = uuid4().hex
        self._started_at = datetime.now(UTC)
        self._attempts: list[Attempt] = []
        self._outputs: list[Any] = []
        self._notes: list[str] = []
        self._stop: StopReason | None = None
        self._finished: Run | None = None

    async def attempts(self) -> AsyncGenerator[Attempt, None]:
        """Makes and judges attempts until there is a reason to stop.

        Raises:
            BudgetExceeded: the budget ran out before there was a draft; `.run` says what was used.
            JudgeFailed: the judge gave no score and the policy makes that an error; `.run` keeps the draft.
            Exception: what the agent raised on its first attempt. Later its failure ends the run, draft in hand.
        """
        feedback: Feedback | None = None
        while True:
            work = await self._solve(feedback)
            if work is None:
                return
            verdict = await self._hear(work.trajectory)
            attempt = self._keep(work, verdict, feedback)
            yield attempt
            marks = marks_for(self._policy, self._judge, verdict)
            self._stop = reason_to_stop(self._attempts, self._policy, marks) or self._out_of_budget()
            if self._stop is StopReason.JUDGE_FAILED and self._policy.on_judge_failure == "raise" and verdict:
                raise JudgeFailed(f"{verdict.status}: {verdict.reason}", verdict=verdict, run=self.result())
            if self._stop is not None or verdict is None:
                return
            feedback = Feedback(work.trajectory, verdict.critique)

    async def run(self) -> Run:
        """Runs the loop to its end and logs the run, however it ends. Raises what :meth:`attempts` raises.

        Raises:
            LowScore: the chosen attempt scored below the floor and the policy makes that an error.
        """
        try:
            async for _ in self.attempts():
                pass
        finally:
            self._finished = self.result()
            if self._log is not None:
                await append_safely(self._log, self._finished)
        self._emit(RunFinished(self._finished))  # after the log: whoever sees it may stop listening
        if self._finished.status is RunStatus.ABSTAINED and self._policy.on_low_score == "raise":
            raise LowScore(self._finished.why, run=self._finished)
        return self._finished

    def result(self) -> Run:
        """The run so far; once it has finished, always the same."""
        if self._finished is not None:
            return self._finished
        chosen = choose(self._attempts, self._policy.keep)
        best = None if chosen is None else self._attempts[chosen]
        run = Run(
            id=self._id,
            started_at=self._started_at,
            task=self._task,
            attempts=tuple(self._attempts),
            chosen=chosen,
            stop=self._stop or StopReason.STOPPED,
            status=status_of(best, marks_for(self._policy, self._judge, best.verdict if best else None)),
            policy=self._policy,
            budget=self._meter.budget,
            threshold=self._marks.accept,
            revise_below=self._marks.revise_below,
            floor=self._marks.floor,
            judge=self._judge.name,
            usage=self._meter.usage,
            seconds=self._meter.elapsed,
            notes=(*self._standing_notes(), *self._notes),
        )
        return run.model_copy(update={"why": explain(run)})

    def output(self) -> Any:
        """The very object that the agent returned for the chosen attempt; None without attempts."""
        chosen = choose(self._attempts, self._policy.keep)
        return None if chosen is None else self._outputs[chosen]

    async def _solve(self, feedback: Feedback | None) -> Work | None:
        """One attempt of the agent; None when a revision could not be made, with the reason set."""
        index = len(self._attempts)
        self._emit(AttemptStarted(index, feedback.critique if feedback else None))
        try:
            work = await self._call("agent", self._agent.attempt(self._task, feedback))
        except BudgetExceeded as error:
            self._stop = StopReason.BUDGET
            if feedback is None:
                raise BudgetExceeded(error.limit, str(error), run=self.result()) from error
            return None
        except Exception as error:
            self._stop = StopReason.REVISION_FAILED if feedback else StopReason.AGENT_FAILED
            self._notes.append(f"attempt {index + 1} failed with {type(error).__name__}: {error}")
            if feedback is None:
                raise
            return None
        self._emit(AttemptSolved(index, work.trajectory))
        return work

    async def _hear(self, trajectory: Trajectory) -> Verdict | None:
        """The judge's verdict; None when none is needed or the budget allows none."""
        if not needs_verdict(len(self._attempts), self._policy):
            return None
        for earlier in self._attempts:
            if earlier.verdict and earlier.trajectory.same_work(trajectory):
                return earlier.verdict.model_copy(update={"usage": Usage(), "asks": 0})
        try:
            return await self._call("judge", heard(self._judge, self._task, trajectory, redacted=self._redacted))
        except BudgetExceeded:
            return None

    async def _call(self, stage: Stage, call: Awaitable[T]) -> T:
        """Awaits a call inside the run's scope; at the deadline it is cancelled."""
        limit = self._meter.remaining_seconds
        with scope.entered(scope.Scope(self._meter, self._observe, stage, self._judge, self._redacted)):
            with anyio.move_on_after(limit):
                return await call
        raise BudgetExceeded(
            "seconds", f"the budget of {limit:.3g} remaining seconds ran out during the {stage}'s call"
        )

    def _keep(self, work: Work, verdict: Verdict | None, feedback: Feedback | None) -> Attempt:
        attempt = Attempt(
            index=len(self._attempts),
            trajectory=work.trajectory,
            verdict=verdict,
            feedback=feedback.critique if feedback else None,
        )
        self._attempts.append(attempt)
        self._outputs.append(work.output)
        if verdict is not None:
            self._emit(AttemptJudged(attempt.index, verdict))
        return attempt

    def _out_of_budget(self) -> StopReason | None:
        """A revision that cannot be judged as well would be thrown away under keep="best"; it is not begun."""
        calls = 2 if needs_verdict(len(self._attempts), self._policy) else 1
        return StopReason.BUDGET if self._meter.exhausted(calls) else None

    def _standing_notes(self) -> list[str]:
        notes = [note for note in (caveat_of(self._judge),) if note]
        ungated = self._policy.accept == "gate" and self._marks.accept is None and self._marks.revise_below is None
        if ungated and self._policy.keep == "best" and self._policy.rounds:
            notes.append("the judge ships no accept gate, so drafts are revised whatever their score")
        if self._meter.budget.usd is not None and self._meter.usage.unpriced_calls:
            notes.append(f"{self._meter.usage.unpriced_calls} calls have no known price; the usd budget ignores them")
        return notes

    def _emit(self, event: Event) -> None:
        if self._observe is not None:
            self._observe(event)
