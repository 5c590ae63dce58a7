"""Everything that is told of a benchmark's arms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean

from pydantic import Field

from reagent_benchmarks.outcomes import ArmResult, Outcome
from reagent_benchmarks.stats.comparison import Comparison, compare
from reagent_benchmarks.stats.intervals import mean_over
from reagent_benchmarks.stats.passk import PassAt, pass_at
from reagent_benchmarks.stats.rows import BARE, Pair, benchmarks, by_arm, checked, pairs
from reagent_benchmarks.stats.warnings import warnings
from reagent_sdk.calibration.card import Estimate
from reagent_sdk.frozen import Frozen


class ArmSummary(Frozen):
    """One arm of one benchmark. Calls, tokens, cost and seconds are means over all its rows."""

    arm: str
    rows: int = Field(ge=1)
    questions: int = Field(ge=1)
    clusters: int = Field(ge=1, description="what intervals resample: questions, or groups of them")
    outcomes: Mapping[Outcome, int] = Field(description="rows by outcome; they add up to `rows`")
    judge_failed: int = Field(ge=0, description="rows where the judge gave no score; they are in `outcomes` as well")
    accuracy: Estimate = Field(description="share of right answers among the graded rows")
    lowest: float = Field(ge=0, le=1, description="accuracy if every row without a grade were wrong")
    highest: float = Field(ge=0, le=1, description="accuracy if every row without a grade were right")
    pass_at: tuple[PassAt, ...] = Field(description="empty with one try a question")
    calls: float = Field(ge=0)
    tokens: float = Field(ge=0)
    cost_usd: float | None = Field(ge=0, description="None where the price of a row is unknown")
    unpriced: int = Field(ge=0, description="rows of unknown price")
    seconds: float = Field(ge=0)
    against: Comparison | None = Field(description="the bare agent; None for the bare arm itself")

    @property
    def graded(self) -> int:
        """Rows that count in the accuracy."""
        return sum(count for outcome, count in self.outcomes.items() if outcome.graded)

    @property
    def ungraded(self) -> dict[Outcome, int]:
        """What became of the other rows, without what never happened."""
        return {outcome: count for outcome, count in self.outcomes.items() if count and not outcome.graded}


class Summary(Frozen):
    """One benchmark."""

    benchmark: str
    bare: str
    arms: tuple[ArmSummary, ...] = Field(description="the bare one first")
    warnings: tuple[str, ...] = Field(description="what a reader must know before believing the figures")


def summarise(results: Iterable[ArmResult], *, bare: str = BARE, seed: int = 0) -> tuple[Summary, ...]:
    """Measures all arms, each benchmark on its own.

    A row without a grade is neither right nor wrong. It is left out of accuracies and differences and counted by what
    happened. A row whose judge failed has the grade of the answer that the arm returned nevertheless.

    Args:
        results: of any benchmarks and arms.
        bare: the arm that the others are compared with; without it, the shared first attempts are.
        seed: of the bootstraps.

    Raises:
        InvalidInput: no rows, or one of them twice.
    """
    found = []
    for benchmark, rows in benchmarks(checked(results)).items():
        paired: dict[str, list[Pair]] = {}
        for pair in pairs(rows, bare):
            if pair is not None:
                paired.setdefault(pair.row.arm, []).append(pair)
        arms = {
            arm: _summarised(own, None if arm == bare else paired.get(arm, []), seed)
            for arm, own in by_arm(rows, bare).items()
        }
        told = warnings(tuple(arms.values()), bare)
        found.append(Summary(benchmark=benchmark, bare=bare, arms=tuple(arms.values()), warnings=told))
    return tuple(found)


def _summarised(rows: Sequence[ArmResult], paired: Sequence[Pair] | None, seed: int) -> ArmSummary:
    graded = [row for row in rows if row.outcome.graded]
    right = sum(row.outcome is Outcome.RIGHT for row in rows)
    costs = [row.cost_usd for row in rows if row.cost_usd is not None]
    return ArmSummary(
        arm=rows[0].arm,
        rows=len(rows),
        questions=len({row.sample for row in rows}),
        clusters=len({row.cluster for row in rows}),
        outcomes={outcome: sum(row.outcome is outcome for row in rows) for outcome in Outcome},
        judge_failed=sum(row.judge_failed for row in rows),
        accuracy=mean_over([row.right is True for row in graded], [row.cluster for row in graded], seed=seed),
        lowest=right / len(rows),
        highest=(right + len(rows) - len(graded)) / len(rows),
        pass_at=pass_at(rows, seed=seed),
        calls=fmean(row.calls for row in rows),
        tokens=fmean(row.tokens for row in rows),
        cost_usd=fmean(costs) if len(costs) == len(rows) else None,
        unpriced=len(rows) - len(costs),
        seconds=fmean(row.seconds for row in rows),
        against=None if paired is None else compare(paired, unpaired=len(graded) - len(paired), seed=seed),
    )
