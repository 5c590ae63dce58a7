"""One question with all arms, on one shared first attempt."""

from __future__ import annotations

import time
from collections.abc import Sequence

from pydantic import Field

from reagent_benchmarks.outcomes import Outcome
from reagent_benchmarks.running.arms import Arm
from reagent_benchmarks.running.failures import outcome_of, told
from reagent_benchmarks.running.shared import NoJudge, SharedAgent, SharedJudge
from reagent_sdk.agents import Agent, Feedback
from reagent_sdk.budget import Budget
from reagent_sdk.frozen import Frozen
from reagent_sdk.judges.base import Judge
from reagent_sdk.loop import CritiqueLoop
from reagent_sdk.run import Run, StopReason
from reagent_sdk.task import Task
from reagent_sdk.verdict import VerdictStatus


class ArmRun(Frozen):
    """What one arm did, before anybody grades it."""

    arm: Arm
    run: Run = Field(description="its usage and seconds count shared work in full, as if the arm had run alone")
    failed: Outcome | None = Field(None, description="the outcome, where there is no answer to grade")
    why: str = ""
    judge_failed: bool = False

    @property
    def unreachable(self) -> bool:
        """Whether a server gave no answer, the agent's or the judge's."""
        verdicts = [attempt.verdict for attempt in self.run.attempts if attempt.verdict]
        lost = any(verdict.status is VerdictStatus.UNAVAILABLE for verdict in verdicts)
        return lost or self.failed is Outcome.UNREACHABLE


async def work_on(
    task: Task, agent: Agent, judge: Judge | None, arms: Sequence[Arm], *, seconds: float | None = None
) -> tuple[ArmRun, ...]:
    """Works on one question under each arm.

    The first attempt is made once, judged once, and revised once: arms differ in what they do with these, and in
    nothing else. A revision that fails leaves an arm its draft, as in any run; one whose server gives no answer makes
    the arm `unreachable`, because what it would have answered is not known.

    Args:
        task: the question.
        agent: who works.
        judge: who judges; None where no arm needs one.
        arms: which.
        seconds: for the whole question, all arms together. The first attempt running out of it is `timed_out`; a
            revision running out of it leaves the arm its draft.

    Returns:
        One for each arm, in order.
    """
    question = _Question(task, SharedAgent(agent), SharedJudge(judge or NoJudge()), seconds)
    first = await question.run(Arm.BARE)
    if first.failed is not None:
        return tuple(first.model_copy(update={"arm": arm}) for arm in arms)
    return tuple([first if arm is Arm.BARE else await question.run(arm) for arm in arms])


class _Question:
    """One question under way."""

    def __init__(self, task: Task, agent: SharedAgent, judge: SharedJudge, seconds: float | None) -> None:
        self._task = task
        self._agent = agent
        self._judge = judge
        self._deadline = None if seconds is None else time.monotonic() + seconds

    async def run(self, arm: Arm) -> ArmRun:
        """One arm. What its agent and judge raise becomes an outcome."""
        self._agent.made.restart()
        self._judge.heard.restart()
        judge = self._judge if arm.judged else NoJudge()
        loop = CritiqueLoop(self._task, self._agent, judge, policy=arm.policy, budget=self._budget())
        try:
            run = await loop.run()
        except Exception as error:
            return ArmRun(arm=arm, run=self._timed(loop.result()), failed=outcome_of(error), why=told(error))
        failure = self._revision_failure(run)
        if failure is not None and outcome_of(failure) is Outcome.UNREACHABLE:
            return ArmRun(arm=arm, run=self._timed(run), failed=Outcome.UNREACHABLE, why=told(failure))
        verdicts = [attempt.verdict for attempt in run.attempts if attempt.verdict]
        return ArmRun(arm=arm, run=self._timed(run), judge_failed=any(one.score is None for one in verdicts))

    def _budget(self) -> Budget:
        if self._deadline is None:
            return Budget()
        return Budget(seconds=max(1e-6, self._deadline - time.monotonic()))

    def _timed(self, run: Run) -> Run:
        """The run with what it took in full: shared work comes out of memory in no time."""
        return run.model_copy(update={"seconds": self._agent.made.seconds + self._judge.heard.seconds})

    def _revision_failure(self, run: Run) -> Exception | None:
        if run.stop is not StopReason.REVISION_FAILED:
            return None
        last = run.attempts[-1]
        return self._agent.failure(Feedback(last.trajectory, last.verdict.critique)) if last.verdict else None
