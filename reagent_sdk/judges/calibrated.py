"""A judge whose scores were compared with labels: they become probabilities, and its gate carries a promise."""

from __future__ import annotations

from reagent_sdk.calibration.card import Calibration
from reagent_sdk.calibration.maps import ScoreMap
from reagent_sdk.errors import InvalidInput
from reagent_sdk.judges.base import Judge, calls_per_verdict, caveat_of, gated_judge, settled, voices
from reagent_sdk.task import Task
from reagent_sdk.trajectory import Trajectory
from reagent_sdk.verdict import Verdict


class CalibratedJudge:
    """A judge with its calibration: map, gate and revision rule.

    The score on its verdicts is the calibrated one, and `bare_score` the judge's own. The map keeps the order of
    scores, and gate and rule, which were fitted on bare scores, are carried through it. A verdict that the calibration
    was not fitted for, such as a stand-in's, passes unchanged and under its own name, so that nothing compares the two.

    Args:
        judge: the judge; closed together with this one.
        calibration: what `reagent calibrate` found out about it.

    Raises:
        InvalidInput: the calibration is of another judge.
    """

    def __init__(self, judge: Judge, calibration: Calibration) -> None:
        if calibration.judge != gated_judge(judge):
            raise InvalidInput(
                f"the calibration was fitted for the judge {calibration.judge!r} and this one is "
                f"{gated_judge(judge)!r}: run `reagent calibrate` for it"
            )
        self._judge = judge
        self._calibration = calibration

    def __repr__(self) -> str:
        return f"CalibratedJudge({self._judge!r})"

    @property
    def name(self) -> str:
        """The judge's name, marked where a map changes what its scores mean."""
        return f"{self._judge.name}, calibrated" if self._calibration.map else self._judge.name

    @property
    def gated(self) -> str:
        """Name on the verdicts that gate and rule belong to."""
        own = gated_judge(self._judge)
        return f"{own}, calibrated" if self._calibration.map else own

    @property
    def voices(self) -> tuple[str, ...]:
        """Names that may stand on its verdicts, a stand-in's among them."""
        return tuple(self.gated if name == self._calibration.judge else name for name in voices(self._judge))

    @property
    def gate(self) -> float | None:
        """The accept threshold, on the scale of the scores given here."""
        gate = self._calibration.gate
        return None if gate is None else self._mapped(gate.threshold)

    @property
    def revise_below(self) -> float | None:
        """The score from which on revising does more harm than good; None revises always."""
        rule = self._calibration.revision
        if rule is None or rule.below is None:
            return None
        return 0.0 if rule.below == 0.0 else self._mapped(rule.below)

    @property
    def calls_per_verdict(self) -> int:
        """The judge's own calls."""
        return calls_per_verdict(self._judge)

    @property
    def caveat(self) -> str:
        """What a reader of its verdicts should know."""
        return caveat_of(self._judge)

    async def judge(self, task: Task, trajectory: Trajectory) -> Verdict:
        """The judge's verdict with its score calibrated.

        Raises:
            BudgetExceeded: the run's budget allows no further call.
        """
        verdict = await settled(lambda: self._judge.judge(task, trajectory), self._judge.name)
        fitted = (self._calibration.judge, self._calibration.prompt_version)
        if verdict.judge and (verdict.judge, verdict.prompt_version) != fitted:
            return verdict
        update: dict[str, object] = {"judge": self.gated}
        if verdict.score is not None and self._calibration.map is not None:
            update |= {"score": self._mapped(verdict.score), "bare_score": verdict.score}
        return verdict.model_copy(update=update)

    def _mapped(self, score: float) -> float:
        mapped: ScoreMap | None = self._calibration.map
        return score if mapped is None else mapped(score)

    async def aclose(self) -> None:
        """Closes the judge."""
        await self._judge.aclose()
