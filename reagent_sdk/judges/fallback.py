"""A judge with a stand-in."""

from __future__ import annotations

from collections.abc import Sequence

from reagent_sdk.errors import InvalidInput
from reagent_sdk.judges.base import Judge, calls_per_verdict, caveat_of, gated_judge, heard, revision_rule, voices
from reagent_sdk.task import Task
from reagent_sdk.trajectory import Trajectory
from reagent_sdk.verdict import Verdict


class FallbackJudge:
    """Asks the judges in order until one scores.

    Verdicts carry the name of the judge that spoke. Scores of different judges are not compared: when the stand-in
    steps in during a run, the loop keeps what the first judge held best and stops.

    Raises:
        InvalidInput: fewer than two judges.
    """

    def __init__(self, judges: Sequence[Judge]) -> None:
        if len(judges) < 2:
            raise InvalidInput("a fallback needs at least two judges, in the order in which to ask them")
        self._judges = tuple(judges)

    @property
    def name(self) -> str:
        """All names, in order."""
        return " | ".join(judge.name for judge in self._judges)

    @property
    def voices(self) -> tuple[str, ...]:
        """Names of all judges that may speak."""
        return tuple(dict.fromkeys(name for judge in self._judges for name in voices(judge)))

    @property
    def gated(self) -> str:
        """Name of the judge that gate and revision rule belong to."""
        return gated_judge(self._judges[0])

    @property
    def revise_below(self) -> float | None:
        """The first judge's revision rule."""
        return revision_rule(self._judges[0])

    @property
    def gate(self) -> float | None:
        """The first judge's gate; it means nothing for the scores of another."""
        return self._judges[0].gate

    async def judge(self, task: Task, trajectory: Trajectory) -> Verdict:
        """The first scored verdict, or the last judge's failure with the reasons of all.

        Raises:
            BudgetExceeded: the run's budget allows no further call.
        """
        failures: list[Verdict] = []
        for judge in self._judges:
            verdict = await heard(judge, task, trajectory)
            if verdict.scored:
                return verdict
            failures.append(verdict)
        reasons = "; ".join(f"{verdict.judge}: {verdict.status}: {verdict.reason}" for verdict in failures)
        return failures[-1].model_copy(update={"reason": reasons})

    @property
    def calls_per_verdict(self) -> int:
        """The calls of all judges: each may be asked in vain."""
        return sum(calls_per_verdict(judge) for judge in self._judges)

    @property
    def caveat(self) -> str:
        """What a reader of the first judge's verdicts should know."""
        return caveat_of(self._judges[0])

    async def aclose(self) -> None:
        """Closes all judges."""
        for judge in self._judges:
            await judge.aclose()
