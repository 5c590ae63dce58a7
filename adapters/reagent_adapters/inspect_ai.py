"""Critique for inspect_ai: a solver that runs any other solver or agent with critique, and the judge as a scorer.

@task
def puzzles() -> Task:
    return Task(dataset=..., solver=critique(generate(), judge="local"), scorer=[match(), rrm_scorer(judge="local")])

On the command line: `inspect eval task.py --solver reagent_adapters/critique -S judge=http://127.0.0.1:8001/v1`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from typing import Any, TypeVar

from reagent_adapters.critique import Critique
from reagent_adapters.versions import require
from reagent_sdk.agents import Work
from reagent_sdk.budget import Budget
from reagent_sdk.errors import BudgetExceeded
from reagent_sdk.policy import Policy
from reagent_sdk.record import RunLog
from reagent_sdk.specs import JudgeLike

require("inspect-ai", "inspect")

from inspect_ai.agent import Agent  # noqa: E402
from inspect_ai.scorer import Score, Scorer, Target, mean, scorer, stderr  # noqa: E402
from inspect_ai.solver import Generate, Solver, TaskState, chain, generate, solver  # noqa: E402
from inspect_ai.util import LimitExceededError, registry_create, registry_info  # noqa: E402

from reagent_adapters.inspect_attempts import RUN, Attempts, show  # noqa: E402
from reagent_adapters.inspect_work import task_of, trajectory_of  # noqa: E402

__all__ = ["RUN", "critique", "rrm_scorer"]

_M = TypeVar("_M", Policy, Budget)
_F = TypeVar("_F", bound=Callable[..., Any])

SolverLike = Solver | Agent | str | Sequence[Solver | Agent]
PolicyLike = Policy | Mapping[str, Any] | None
BudgetLike = Budget | Mapping[str, Any] | None
LogLike = RunLog | str | PathLike[str] | None


def _in_package(register: Callable[[str], Callable[[_F], _F]]) -> Callable[[_F], _F]:
    """Registers under `reagent_adapters/`, also from an editable install, which inspect_ai takes for loose files."""

    def name(function: _F) -> _F:
        made = register(function.__name__)(function)
        return made if "/" in registry_info(made).name else register(f"reagent_adapters/{function.__name__}")(function)

    return name


@_in_package(solver)
def critique(
    solver: SolverLike | None = None,
    *,
    judge: JudgeLike = None,
    policy: PolicyLike = None,
    budget: BudgetLike = None,
    log: LogLike = None,
) -> Solver:
    """Runs a solver with critique; the sample ends in the state of the attempt that was chosen.

    Messages, output, choices, metadata, scores and store are those of the chosen attempt; a sandbox cannot be turned
    back. The run is in the sample's store under `reagent_run`, a summary in its metadata, the verdicts in the
    transcript. A limit of the sample that is reached during a revision ends the sample with the best attempt.

    Args:
        solver: a solver, an agent, several of them in order, or the name of a registered solver; `generate()` by
            default. Solvers that only write the prompt belong before this one, or a revision goes through them again.
        judge: a spec, a function `(task, trajectory)`, a Judge or a list of them; None means `$REAGENT_JUDGE`, else
            the embedded local judge.
        policy: how to revise and what to keep, as a Policy or its fields.
        budget: limits of each sample's run, as a Budget or its fields.
        log: path of a run log; every run is appended to it.

    Raises:
        InvalidInput: the judge is none of these.
    """
    settings = Critique.of(judge, policy=_made(Policy, policy), budget=_made(Budget, budget), log=log)
    named = registry_create("solver", solver) if isinstance(solver, str) else solver
    inner = chain(generate() if named is None else named)

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        agent = Attempts(inner, state, generate)
        loop = settings.loop(task_of(state), agent, show)
        try:
            await loop.run()
        except BudgetExceeded as error:  # a sample that runs out of its budget is scored as it is, as with any limit
            limit = getattr(loop.result().budget, error.limit) or 0
            raise LimitExceededError("custom", value=limit, limit=limit, message=str(error)) from error
        finally:
            agent.settle(loop.output(), loop.result())
        if agent.ended is not None:
            raise agent.ended
        return agent.state

    return solve


@_in_package(functools.partial(scorer, [mean(), stderr()]))
def rrm_scorer(judge: JudgeLike = None, *, budget: BudgetLike = None, log: LogLike = None) -> Scorer:
    """Scores samples by the judge: the value is its score in [0, 1], the explanation its critique.

    A judge that fails gives no number: the sample is unscored, which metrics and reducers leave out and
    `results.scores[...].unscored_samples` counts. The reason is the verdict's status. The target is not used.

    Args:
        judge: as for :func:`critique`.
        budget: limits for judging one sample.
        log: path of a run log.

    Raises:
        InvalidInput: the judge is none of these.
    """
    settings = Critique.of(judge, policy=Policy(rounds=0), budget=_made(Budget, budget), log=log)

    async def score(state: TaskState, target: Target) -> Score:
        review = settings.review(task_of(state))
        await review.submit(Work(trajectory_of(state), None))
        run = await review.finish()
        verdict = run.attempts[0].verdict
        told: dict[str, Any] = {"status": verdict.status.value if verdict else run.stop.value, "judge": run.judge}
        if verdict is None or verdict.score is None:
            why = verdict.reason if verdict else run.why
            return Score.unscored(answer=state.output.completion, explanation=why, metadata=told)
        told |= {"analysis": verdict.analysis, "omitted_chars": verdict.omitted_chars}
        return Score(value=verdict.score, answer=state.output.completion, explanation=verdict.critique, metadata=told)

    return score


def _made(kind: type[_M], given: _M | Mapping[str, Any] | None) -> _M | None:
    return kind(**given) if isinstance(given, Mapping) else given
