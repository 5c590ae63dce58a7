"""What a run of `reagent data annotate` came to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

from reagent_sdk.frozen import Frozen
from reagent_sdk.usage import Usage
from reagent_sdk.verdict import VerdictStatus
from reagent_training.data.quality import LUCKY, NEAR_MISS
from reagent_training.data.record import LabelledTrajectory

LEAKED = "leaked"
"""The teacher's texts gave the answer away, also when asked again."""
ANNOTATED, UNAVAILABLE = VerdictStatus.SCORED.value, VerdictStatus.UNAVAILABLE.value

_WHY = {
    LEAKED: "the teacher's texts give the answer away",
    VerdictStatus.ABSTAINED.value: "the teacher abstained",
    VerdictStatus.UNPARSEABLE.value: "the teacher's reply could not be read",
    VerdictStatus.TRUNCATED.value: "the teacher's reply was cut off",
    UNAVAILABLE: "the teacher was unavailable",
}


class AnnotateReport(Frozen):
    """How the rows came out, and what this run used.

    Attributes:
        out: the file; it is written when at least one row is annotated, or needs no annotation.
        rows: of the input.
        annotated: rows with the teacher's targets.
        kept: rows whose targets are people's.
        without: why a row has no new targets -> rows.
        not_done: rows that were not asked about.
        complete: nothing is left to do.
        asked_now: rows that this run asked about.
        failed_now: those of them for which the teacher was unavailable.
        earlier: rows that an earlier run had settled.
        mean_score_right: mean score of the annotated rows with a right answer; None without any.
        mean_score_wrong: the same for a wrong answer.
        off_scale: annotated rows whose score lies far off the rubric's scale for their outcome.
        stopped: the limit of the budget that ended it; None when it came to its end.
        last_failure: why a row failed, the last time.
        usage: of this run.
    """

    out: Path
    rows: int
    annotated: int
    kept: int
    without: dict[str, int]
    not_done: int
    complete: bool
    asked_now: int
    failed_now: int
    earlier: int
    mean_score_right: float | None
    mean_score_wrong: float | None
    off_scale: int
    stopped: str | None
    last_failure: str
    usage: Usage

    @property
    def left_out(self) -> dict[str, int]:
        """What the data card says of rows without new targets; the rows themselves are in the set as they were."""
        told = {f"new targets of rows: {why}": count for why, count in self.without.items()}
        return told | ({"new targets of rows: not asked yet": self.not_done} if self.not_done else {})


_SLACK = 0.1
"""So far beyond the scale of the rubric a score is taken for another opinion, and not for another scale."""


@dataclass
class Scores:
    """Scores of rows by their outcome, and how many of them lie off the rubric's scale for it."""

    by_outcome: dict[bool, list[float]] = field(default_factory=lambda: {True: [], False: []})
    off_scale: int = 0

    def add(self, row: LabelledTrajectory) -> None:
        """Takes note of an annotated row."""
        if row.correct is not None and row.score is not None:
            self.by_outcome[row.correct].append(row.score)
            self.off_scale += row.score < LUCKY - _SLACK if row.correct else row.score > NEAR_MISS + _SLACK

    def mean(self, *, correct: bool) -> float | None:
        """The mean of one side."""
        scores = self.by_outcome[correct]
        return round(fmean(scores), 4) if scores else None


def reasons(statuses: Iterable[str]) -> dict[str, int]:
    """Why rows have no new targets -> how many."""
    counts = Counter(status for status in statuses if status != ANNOTATED)
    return {_WHY.get(status, status): count for status, count in counts.most_common()}
