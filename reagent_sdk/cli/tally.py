"""Counting verdicts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from reagent_sdk.verdict import Verdict, VerdictStatus


@dataclass
class Tally:
    """Counts of verdicts: all of them, and those of this session.

    Attributes:
        by_status: all verdicts by their status.
        score_sum: sum of all scores.
        judged: verdicts of this session.
        failed_now: those of them for which the judge was unavailable.
        last_reason: why it was, the last time.
        gave_up: it was unavailable from the beginning, and the rest was not tried.
        seconds: wall-clock time of this session.
    """

    by_status: Counter[str] = field(default_factory=Counter)
    score_sum: float = 0.0
    judged: int = 0
    failed_now: int = 0
    last_reason: str = ""
    gave_up: bool = False
    seconds: float = 0.0

    def add(self, verdict: Verdict, *, now: bool) -> None:
        """Counts a verdict, of this session or an earlier one."""
        self.by_status[verdict.status.value] += 1
        self.score_sum += verdict.score or 0.0
        self.judged += now
        if now and verdict.status is VerdictStatus.UNAVAILABLE:
            self.failed_now += 1
            self.last_reason = verdict.reason

    @property
    def scored(self) -> int:
        """How many have a score."""
        return self.by_status[VerdictStatus.SCORED.value]

    def as_data(self) -> dict[str, Any]:
        """The summary."""
        return {
            "verdicts": self.by_status.total(),
            "scored": self.scored,
            "mean_score": round(self.score_sum / self.scored, 4) if self.scored else None,
            "by_status": dict(self.by_status),
            "judged_now": self.judged,
            "seconds_per_verdict": round(self.seconds / self.judged, 3) if self.judged else None,
        }
