"""What every adapter takes: who judges, by which rules, within which limits."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from os import PathLike
from typing import Any, Self

from reagent_sdk import scope
from reagent_sdk.agents import Agent
from reagent_sdk.budget import Budget
from reagent_sdk.judges.base import Judge
from reagent_sdk.loop import CritiqueLoop
from reagent_sdk.marks import marks_for
from reagent_sdk.policy import Policy
from reagent_sdk.record import RunLog
from reagent_sdk.review import Review
from reagent_sdk.run import Run
from reagent_sdk.scope import Observer
from reagent_sdk.specs import JudgeLike, judge_for
from reagent_sdk.task import Task
from reagent_sdk.usage import Usage


@dataclass(frozen=True)
class Critique:
    """A judge with the rules of its runs. Make one with :meth:`of`, which takes what `with_critique` takes."""

    judge: Judge
    policy: Policy = field(default_factory=Policy)
    budget: Budget | None = None
    log: RunLog | None = None
    owned: bool = False
    """Whether closing this closes the judge: a judge that was passed in belongs to the caller."""

    @classmethod
    def of(
        cls,
        judge: JudgeLike = None,
        *,
        policy: Policy | None = None,
        budget: Budget | None = None,
        log: RunLog | str | PathLike[str] | None = None,
    ) -> Self:
        """Reads the settings that all adapters share.

        Args:
            judge: a spec, a function `(task, trajectory)`, a Judge or a list of them; None means `$REAGENT_JUDGE`, else
                the embedded local judge.
            policy: how to revise and what to keep; by default one revision, and the better attempt is returned.
            budget: limits of each run.
            log: path of a run log; every run is appended to it.

        Raises:
            InvalidInput: the judge is none of these, or low scores are to raise and nothing says what is low.
            WeightsUnavailable: a local model is named whose weights are missing.
        """
        made, rules = judge_for(judge), policy or Policy()
        marks_for(rules, made)  # what cannot work is told now and not at the first call
        runs = log if isinstance(log, RunLog | None) else RunLog(log)
        return cls(made, rules, budget, runs, owned=not isinstance(judge, Judge))

    def loop(self, task: Task, agent: Agent, observe: Observer | None = None) -> CritiqueLoop:
        """One run of an agent that we drive."""
        return CritiqueLoop(
            task, agent, self.judge, policy=self.policy, budget=self.budget, observe=observe, log=self.log
        )

    def review(self, task: Task, observe: Observer | None = None) -> Review:
        """One run of an agent that its framework drives."""
        return Review(task, self.judge, policy=self.policy, budget=self.budget, observe=observe, log=self.log)

    def resumed(self, run: Run, observe: Observer | None = None) -> Review:
        """Goes on with a run of a framework that keeps its state elsewhere, such as a checkpoint."""
        return Review.resumed(run, self.judge, observe=observe, log=self.log)

    def with_changes(self, **changes: Any) -> Self:
        """The same with other fields."""
        return replace(self, **changes)

    async def aclose(self) -> None:
        """Closes the judge, unless it was passed in."""
        if self.owned:
            await self.judge.aclose()


def charge(usage: Usage) -> Usage:
    """Counts what a framework's own model calls used on the run's meter, and returns it.

    Frameworks call models through clients of their own, which know nothing of our budget. Their prices are unknown
    unless the framework tells them. Report `calls=0` for calls that were admitted one by one (see :func:`admit`).
    """
    scope.current().meter.charge(usage)
    return usage


def admit() -> None:
    """Counts one model call that a framework is about to make, as one of unknown price.

    Raises:
        BudgetExceeded: the budget allows no further call; the framework must not make it.
    """
    meter = scope.current().meter
    meter.admit()
    meter.charge(Usage(unpriced_calls=1))


def counted(
    *, calls: int, prompt: int = 0, completion: int = 0, cached: int = 0, unmetered: int | None = None
) -> Usage:
    """The usage of model calls that a framework reported without prices.

    Args:
        calls: how many.
        prompt: prompt tokens of all of them.
        completion: completion tokens of all of them.
        cached: prompt tokens that came from a cache.
        unmetered: calls that reported no tokens; by default all of them when no token was reported, else none.
    """
    unknown = unmetered if unmetered is not None else (0 if prompt or completion else calls)
    return Usage(
        calls=calls,
        prompt_tokens=prompt,
        completion_tokens=completion,
        cached_tokens=cached,
        unpriced_calls=calls,
        unmetered_calls=unknown,
    )
