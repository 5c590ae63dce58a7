"""Questions as samples of inspect_ai: the solver that works on one under all arms, and a score for each arm."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from reagent_adapters.versions import require

from reagent_benchmarks.grading import Grader
from reagent_benchmarks.outcomes import Outcome
from reagent_benchmarks.running.arms import Arm, arms_of
from reagent_benchmarks.running.calls import journal_in_force, question
from reagent_benchmarks.running.failures import Unreachable
from reagent_benchmarks.running.graded import Graders, question_name
from reagent_benchmarks.running.making import AgentMaker, AgentPlan, judge_of
from reagent_benchmarks.running.question import ArmRun, work_on
from reagent_benchmarks.running.registering import registered
from reagent_benchmarks.suite.base import BenchmarkItem
from reagent_sdk.agents import Agent
from reagent_sdk.errors import InvalidInput
from reagent_sdk.judges.base import Judge
from reagent_sdk.task import Task

require("inspect-ai", "benchmarks")

from inspect_ai.dataset import Sample  # noqa: E402
from inspect_ai.log import transcript  # noqa: E402
from inspect_ai.model import ModelOutput  # noqa: E402
from inspect_ai.scorer import Score, Scorer, Target, mean, scorer, stderr  # noqa: E402
from inspect_ai.solver import Generate, Solver, TaskState, solver  # noqa: E402

RUNS = "reagent_arms"
"""Key of the arms' runs in a sample's store: JSON texts by arm. As texts, because inspect_ai walks through values."""


def sample_of(item: BenchmarkItem) -> Sample:
    """A question. Its gold answers are the target, which solvers do not read."""
    told = {**item.metadata, "group": item.group, "grader": item.grader, "task": item.task.model_dump(mode="json")}
    return Sample(input=item.task.question, target=list(item.references), id=item.id, metadata=told)


@registered(lambda name: solver(name=name), "arms")
def arms(
    agent: str | Agent = "local",
    judge: str | Judge | None = None,
    arms: str | list[str] = "bare,critique",
    seconds: float | None = None,
    **plan: Any,
) -> Solver:
    """Works on a sample under all arms; see :func:`reagent_benchmarks.running.question.work_on`.

    The runs are in the sample's store under `reagent_arms`. The output is the answer of the last arm.

    Args:
        agent: a spec, or an agent of your own.
        judge: a spec or a Judge; None means `$REAGENT_JUDGE`, else the embedded local judge, and "none" nobody.
        arms: names with commas between them.
        seconds: for each question.
        **plan: fields of `AgentPlan`: how agents work.

    Raises:
        InvalidInput: something of these cannot work.
        WeightsUnavailable: local weights are missing.
    """
    wanted = arms_of(arms)
    judged = any(arm.judged for arm in wanted)
    judges = judge_of(judge) if judged else None
    if judged and judges is None:
        raise InvalidInput("only the bare arm works without a judge: pass --judge SPEC, or --arms bare")
    maker = AgentMaker(agent, AgentPlan(**plan))
    journal = journal_in_force()

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        task = _task_of(state)
        with question(journal, question_name(state)):
            made = await work_on(task, maker.for_task(task, state.epoch), judges, wanted, seconds=seconds)
        told = {one.arm.value: one.model_dump_json(fallback=str) for one in made}
        state.store.set(RUNS, told)
        # As an event too: of a process that is killed, inspect_ai gives samples back without their stores. And not with
        # the scores, which it holds in memory until the last sample is done.
        transcript().info(dict(told), source=RUNS)
        state.output = ModelOutput.from_content("reagent", made[-1].run.answer or "")
        lost = next((one for one in made if one.unreachable), None)
        if lost is not None:
            raise Unreachable(lost.why or "the judge gave no verdict: it could not be reached")
        return state

    return solve


def scored_by(name: str) -> Callable[..., Scorer]:
    """The scorer of an arm, under the arm's name."""

    @registered(lambda full: scorer([mean(), stderr()], name=full), name)
    def graded(grader: str | Grader = "maths", model: str | None = None) -> Scorer:
        """Grades one arm's answer: 1 is right, 0 is wrong, and what has no grade is unscored.

        Args:
            grader: a name, for samples that name none themselves; or a Grader.
            model: the grading model, where a model grades.
        """
        graders = Graders(grader, model)

        async def score(state: TaskState, target: Target) -> Score:
            stored = (state.store.get(RUNS) or {}).get(name)
            if stored is None:
                return _unscored(Outcome.AGENT_FAILED, "the solver made no run of this arm")
            own = ArmRun.model_validate_json(stored)
            outcome, why = await graders.outcome(own, own.run.chosen, state, target)
            first, _ = await graders.outcome(own, 0 if own.run.attempts else None, state, target)
            facts = {"outcome": outcome.value, "why": why, "first": first.value}
            if not outcome.graded:
                return _unscored(outcome, why, facts)
            return Score(value=float(outcome is Outcome.RIGHT), answer=_answer(own), explanation=why, metadata=facts)

        return score

    return graded


def _answer(own: ArmRun) -> str:
    return own.run.answer or ""


def _unscored(outcome: Outcome, why: str, facts: dict[str, Any] | None = None) -> Score:
    return Score.unscored(explanation=why or outcome.value, metadata=facts or {"outcome": outcome.value, "why": why})


def _task_of(state: TaskState) -> Task:
    given = (state.metadata or {}).get("task")
    return Task.model_validate(given) if given else Task(question=state.input_text, id=str(state.sample_id))


SCORERS = {arm: scored_by(arm.value) for arm in Arm}
"""The scorer of each arm."""


def scorers(wanted: Sequence[Arm], grader: str | Grader, model: str | None = None) -> list[Scorer]:
    """A scorer for each arm."""
    return [SCORERS[arm](grader, model) for arm in wanted]
