"""An agent and a judge that follow a script, for tests without models."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

from reagent_sdk.agents import Feedback, Work
from reagent_sdk.calling import call_metered
from reagent_sdk.errors import InvalidInput
from reagent_sdk.outputs import read_output
from reagent_sdk.task import Task
from reagent_sdk.trajectory import Trajectory
from reagent_sdk.verdict import Verdict, VerdictStatus

Outcome: TypeAlias = "Verdict | VerdictStatus | float | tuple[float, str] | BaseException"


class ScriptedAgent:
    """Gives the scripted answers in order; the last one repeats. An exception in the script is raised.

    Each attempt counts as one call on the run's budget.

    Args:
        answers: texts, messages, trajectories (whatever an agent may return) or exceptions.

    Attributes:
        seen: the `(task, feedback)` of every attempt so far.
    """

    def __init__(self, answers: Iterable[Any]) -> None:
        self._script = _repeat_last(answers, "answer")
        self.seen: list[tuple[Task, Feedback | None]] = []

    async def attempt(self, task: Task, feedback: Feedback | None) -> Work:
        """The next answer of the script."""

        async def answer() -> Any:
            self.seen.append((task, feedback))
            return _raised(next(self._script))

        output, usage = await call_metered(answer)
        return Work(read_output(output).model_copy(update={"usage": usage}), output)

    async def aclose(self) -> None:
        """Nothing to free."""


class ScriptedJudge:
    """Gives the scripted verdicts in order; the last one repeats. An exception in the script is raised.

    Each verdict counts as one call on the run's budget.

    Args:
        outcomes: scores, `(score, critique)` pairs, verdicts, statuses of failed verdicts or exceptions. A bare score
            comes with a critique that differs from call to call.
        name: the judge's name on its verdicts.
        gate: the accept threshold it ships.

    Attributes:
        seen: the `(task, trajectory)` of every call so far.
    """

    def __init__(self, outcomes: Iterable[Outcome], *, name: str = "scripted", gate: float | None = None) -> None:
        self._script = _repeat_last(outcomes, "outcome")
        self.name = name
        self.gate = gate
        self.seen: list[tuple[Task, Trajectory]] = []

    async def judge(self, task: Task, trajectory: Trajectory) -> Verdict:
        """The next verdict of the script."""

        async def outcome() -> Any:
            self.seen.append((task, trajectory))
            return _raised(next(self._script))

        scripted, usage = await call_metered(outcome)
        return self._verdict(scripted).model_copy(update={"judge": self.name, "usage": usage})

    def _verdict(self, scripted: Any) -> Verdict:
        if isinstance(scripted, Verdict):
            return scripted
        if isinstance(scripted, VerdictStatus):
            return Verdict.failed(scripted, "scripted")
        score, critique = scripted if isinstance(scripted, tuple) else (scripted, f"scripted critique {len(self.seen)}")
        return Verdict.of(score, critique)

    async def aclose(self) -> None:
        """Nothing to free."""


def _repeat_last(script: Iterable[Any], what: str) -> Iterator[Any]:
    items = list(script)
    if not items:
        raise InvalidInput(f"the script is empty: give at least one {what}")
    return itertools.chain(items, itertools.repeat(items[-1]))


def _raised(item: Any) -> Any:
    if isinstance(item, BaseException):
        raise item
    return item
