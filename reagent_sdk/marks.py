"""The marks on the scale of scores that steer a run, from the user's policy and from what the judge ships."""

from __future__ import annotations

from typing import NamedTuple

from reagent_sdk.errors import InvalidInput
from reagent_sdk.judges.base import Judge, gated_judge, revision_rule
from reagent_sdk.policy import Policy
from reagent_sdk.verdict import Verdict


class Marks(NamedTuple):
    """Scores in [0, 1]; None where there is no such mark."""

    accept: float | None = None
    """A score from here on is accepted without a revision."""
    revise_below: float | None = None
    """A score from here on is not revised, accepted or not: a revision would rather break than mend."""
    floor: float | None = None
    """A final score below this makes the run abstain."""


def marks_for(policy: Policy, judge: Judge, verdict: Verdict | None = None) -> Marks:
    """The marks in force, for one verdict where one is given.

    What a judge ships holds for its own scores only, not for those of a stand-in; what the user sets holds for all.
    They belong to keep-best: `keep="last"` always revises.

    Raises:
        InvalidInput: the policy raises on low scores, and nothing says what is low.
    """
    shipped = policy.keep == "best" and (verdict is None or verdict.judge in ("", gated_judge(judge)))
    accept = policy.accept if policy.accept != "gate" else (judge.gate if shipped else None)
    own_rule = revision_rule(judge) if shipped else None
    revise_below = policy.revise_below if policy.revise_below != "judge" else own_rule
    floor = policy.floor if policy.floor is not None or policy.on_low_score == "return" else accept
    if verdict is None and floor is None and policy.on_low_score == "raise":
        raise InvalidInput(
            "on_low_score='raise' needs to know what is low: set Policy(floor=...) or a number for accept, "
            "or use a judge that ships a gate"
        )
    return Marks(accept, revise_below, floor)
