"""What a reader must know before believing the figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from reagent_benchmarks.outcomes import Outcome

if TYPE_CHECKING:
    from reagent_benchmarks.stats.comparison import Comparison
    from reagent_benchmarks.stats.summary import ArmSummary

NAMES = {
    Outcome.AGENT_FAILED: "agent failed",
    Outcome.TIMED_OUT: "timed out",
    Outcome.UNREACHABLE: "unreachable",
    Outcome.GRADER_FAILED: "grader failed",
}


def warnings(arms: Sequence[ArmSummary], bare: str) -> tuple[str, ...]:
    """One line for each thing that weakens the figures of a benchmark."""
    found = [
        f"{one.arm}: {one.rows - one.graded} of {one.rows} rows have no grade ({_ungraded(one)}) and no part in the "
        f"accuracy, which with them would lie between {one.lowest:.1%} and {one.highest:.1%}"
        for one in arms
        if one.ungraded
    ]
    found += [
        f"{one.arm}: the judge gave no score for {one.judge_failed} of {one.rows} rows; these keep the grade of what "
        "the arm returned"
        for one in arms
        if one.judge_failed
    ]
    compared = [(one.arm, one.against) for one in arms if one.against is not None]
    if compared and all(one.arm != bare for one in arms):
        found.append(f"there is no arm {bare!r}: arms are compared with the shared first attempts, without their cost")
    for arm, against in compared:
        found += _weak(arm, against, bare)
    if any(against.repeated for _, against in compared):
        found.append(
            "questions were tried several times: in the p-value each votes once, by whether more was fixed or broken"
        )
    if len(compared) > 2:
        found.append(f"the p-values are of {len(compared)} comparisons and not corrected for it")
    return tuple(found)


def _ungraded(one: ArmSummary) -> str:
    return ", ".join(f"{count} {NAMES[outcome]}" for outcome, count in one.ungraded.items())


def _weak(arm: str, against: Comparison, bare: str) -> list[str]:
    """What keeps a comparison from telling."""
    found = []
    if against.unpaired:
        found.append(f"{arm}: {against.unpaired} graded rows have no graded {bare} row and are in no difference")
    if against.detectable is None:
        found.append(f"{arm}: {questions(against.clusters)} cannot tell it from {bare}, nor give an interval")
    elif not against.told_apart:
        needed = f"only a difference of {100 * against.detectable:.0f} points or more would show 4 times out of 5"
        if against.detectable > 1:
            needed = "so few show no difference reliably, however large"
        found.append(f"{arm}: {questions(against.clusters)} cannot tell it from {bare}; {needed}")
    return found


def questions(count: int) -> str:
    """A number of questions in words that agree with it."""
    return f"{count} question" + ("" if count == 1 else "s")
