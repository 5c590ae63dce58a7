"""Solve, judge, revise: the loop itself."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

from reagent_sdk import scope, telemetry
from reagent_sdk.agents import Agent, Feedback, Work
from reagent_sdk.budget import Budget
from reagent_sdk.errors import BudgetExceeded
from reagent_sdk.events import AttemptStarted
from reagent_sdk.judges.base import Judge
from reagent_sdk.policy import Policy
from reagent_sdk.record import RunLog
from reagent_sdk.review import Review
from reagent_sdk.run import Attempt, Run, StopReason
from reagent_sdk.task import Task


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
        self._judge = judge.name
        self._review = Review(task, judge, policy=policy, budget=budget, observe=observe, log=log)

    async def attempts(self) -> AsyncGenerator[Attempt, None]:
        """Makes and judges attempts until there is a reason to stop.

        Raises:
            BudgetExceeded: the budget ran out before there was a draft; `.run` says what was used.
            JudgeFailed: the judge gave no score and the policy makes that an error; `.run` keeps the draft.
            Exception: what the agent raised on its first attempt. Later its failure ends the run, draft in hand.
        """
        feedback: Feedback | None = None
        self._review.span = span = telemetry.RunSpan(self._task, self._judge)
        try:
            while (work := await self._solve(feedback, span)) is not None:
                yield await self._review.judged(work, feedback)
                feedback = self._review.next()
                if feedback is None:
                    return
        finally:
            span.end(self.result())

    async def run(self) -> Run:
        """Runs the loop to its end and logs the run, however it ends. Raises what :meth:`attempts` raises.

        Raises:
            LowScore: the chosen attempt scored below the floor and the policy makes that an error.
        """
        try:
            async for _ in self.attempts():
                pass
        except BaseException:
            await self._review.settle()
            raise
        return await self._review.finish()

    def result(self) -> Run:
        """The run so far; once it has finished, always the same."""
        return self._review.result()

    def output(self) -> Any:
        """The very object that the agent returned for the chosen attempt; None without attempts."""
        return self._review.output()

    async def _solve(self, feedback: Feedback | None, span: telemetry.RunSpan) -> Work | None:
        """One attempt of the agent; None when a revision could not be made, with the reason set."""
        review = self._review
        review.emit(AttemptStarted(review.count, feedback.critique if feedback else None))
        try:
            with span.attempt(review.count, feedback is not None) as told:
                work = await review.call("agent", self._agent.attempt(self._task, feedback))
                told.usage(work.trajectory.usage)
                told.content(input__value=self._task.question, output__value=work.trajectory.answer)
                return work
        except BudgetExceeded as error:
            review.ended(StopReason.BUDGET)
            if feedback is None:
                raise BudgetExceeded(error.limit, str(error), run=self.result()) from error
        except Exception as error:
            review.ended(
                StopReason.REVISION_FAILED if feedback else StopReason.AGENT_FAILED,
                f"attempt {review.count + 1} failed with {type(error).__name__}: {error}",
            )
            if feedback is None:
                raise
        return None
