"""What a reader of any run should know, whatever happens in it."""

from __future__ import annotations

from reagent_sdk.budget import Meter
from reagent_sdk.judges.base import Judge, caveat_of
from reagent_sdk.marks import Marks
from reagent_sdk.policy import Policy


def standing_notes(judge: Judge, policy: Policy, marks: Marks, meter: Meter) -> list[str]:
    """The judge's own caveat, a missing gate, and calls that a budget of dollars could not count."""
    notes = [note for note in (caveat_of(judge),) if note]
    ungated = policy.accept == "gate" and marks.accept is None and marks.revise_below is None
    if ungated and policy.keep == "best" and policy.rounds:
        notes.append("the judge ships no accept gate, so drafts are revised whatever their score")
    if meter.budget.usd is not None and meter.usage.unpriced_calls:
        notes.append(f"{meter.usage.unpriced_calls} calls have no known price; the usd budget ignores them")
    return notes
