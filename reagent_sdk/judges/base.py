"""What a judge is, and how a plain function becomes one."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, runtime_checkable

from pydantic import ValidationError

from reagent_sdk import telemetry
from reagent_sdk.calling import call_metered, callable_name
from reagent_sdk.errors import BudgetExceeded, InvalidInput
from reagent_sdk.leaks import leaked_answers, redact
from reagent_sdk.task import Task
from reagent_sdk.trajectory import Trajectory
from reagent_sdk.verdict import Verdict, VerdictStatus


@runtime_checkable
class Judge(Protocol):
    """Turns a task and a trajectory into a verdict. A judge that fails returns a verdict that says so.

    `name` identifies the judge on its verdicts; `gate` is the accept threshold that it ships, if any.
    """

    @property
    def name(self) -> str:
        """Which judge this is; scores are compared only between verdicts of one name."""

    @property
    def gate(self) -> float | None:
        """The judge's own accept threshold in [0, 1], fitted on labelled runs; None when it ships none."""

    async def judge(self, task: Task, trajectory: Trajectory) -> Verdict:
        """Judges one trajectory.

        Raises:
            BudgetExceeded: the run's budget allows no further call.
        """

    async def aclose(self) -> None:
        """Frees what the judge holds. Idempotent."""


def gated_judge(judge: Judge) -> str:
    """Whose verdicts a judge's gate and revision rule apply to: its own, unless its `gated` names another judge."""
    return str(getattr(judge, "gated", judge.name))


def voices(judge: Judge) -> tuple[str, ...]:
    """The names that may stand on a judge's verdicts: its own, unless its `voices` are those of several."""
    return tuple(getattr(judge, "voices", (judge.name,)))


def caveat_of(judge: Judge) -> str:
    """What a reader of a judge's verdicts should know, where it says so (`caveat`); empty for most judges."""
    return str(getattr(judge, "caveat", ""))


def calls_per_verdict(judge: Judge) -> int:
    """How many model calls a verdict may take, at least 1: what a judge says (`calls_per_verdict`), 1 for most.

    Repeated asks are in it; asks that a model refuses because the record overflows its window are not.
    """
    return int(getattr(judge, "calls_per_verdict", 1))


def revision_rule(judge: Judge) -> float | None:
    """The score from which on revising does more harm than good, where the judge has found out (`revise_below`)."""
    rule: float | None = getattr(judge, "revise_below", None)
    return rule


async def heard(judge: Judge, task: Task, trajectory: Trajectory, *, redacted: bool = False) -> Verdict:
    """A judge's verdict, also when the judge breaks its contract and raises.

    Args:
        judge: who judges.
        task: what was asked.
        trajectory: what was done.
        redacted: remove answers that the critique gives away; they are flagged on the verdict either way.

    Raises:
        BudgetExceeded: the run's budget allows no further call.
    """
    with telemetry.evaluation(judge.name, task, trajectory) as verdicts:
        verdict = await settled(functools.partial(judge.judge, task, trajectory), judge.name)
        verdicts.append(verdict)
    leaks = leaked_answers(verdict.critique, task, trajectory)
    if not leaks:
        return verdict
    critique = redact(verdict.critique, leaks) if redacted else verdict.critique
    return verdict.model_copy(update={"critique": critique, "leaks": leaks})


async def settled(ask: Callable[[], Awaitable[Verdict]], name: str) -> Verdict:
    """What `ask` gives; what it raises, but for a budget, becomes a verdict without a score by the judge `name`."""
    try:
        return await ask()
    except BudgetExceeded:
        raise
    except Exception as error:  # a judge that breaks is an outcome of its own and must cost nobody the draft
        return Verdict.failed(VerdictStatus.UNAVAILABLE, f"{type(error).__name__}: {error}", judge=name)


class CallableJudge:
    """A plain function, sync or async, as a judge.

    The function takes `(task, trajectory)` and returns a :class:`Verdict`, a score in [0, 1] or a pair
    `(score, critique)`. What it raises becomes a verdict with status `unavailable`.
    """

    gate: float | None = None

    def __init__(self, function: Callable[..., Any], *, name: str | None = None) -> None:
        try:
            inspect.signature(function).bind(None, None)
        except TypeError:
            raise InvalidInput(
                f"the judge {callable_name(function)} must take two arguments: (task, trajectory)"
            ) from None
        except ValueError:  # a builtin without a signature: calling it will tell
            pass
        self._function = function
        self.name = name or callable_name(function)

    async def judge(self, task: Task, trajectory: Trajectory) -> Verdict:
        """Calls the function and reads its result."""
        return await settled(functools.partial(self._ask, task, trajectory), self.name)

    async def _ask(self, task: Task, trajectory: Trajectory) -> Verdict:
        result, usage = await call_metered(self._function, task, trajectory)
        return self._read(result).model_copy(update={"judge": self.name, "usage": usage})

    def _read(self, result: object) -> Verdict:
        if isinstance(result, Verdict):
            return result
        score, critique = result if isinstance(result, tuple) and len(result) == 2 else (result, "")
        try:
            return Verdict(status=VerdictStatus.SCORED, score=score, critique=critique)
        except ValidationError as error:
            problem = error.errors()[0]["msg"].removeprefix("Value error, ")
            return Verdict.failed(
                VerdictStatus.UNPARSEABLE,
                f"expected a Verdict, a score in [0, 1] or (score, critique), got {str(result)[:80]!r}: {problem}",
            )

    async def aclose(self) -> None:
        """Nothing to free."""
