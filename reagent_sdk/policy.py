"""How a run revises, what it keeps and what it does when the judge fails."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from reagent_sdk.frozen import Settings


class Policy(Settings):
    """The rules of a run.

    The default revises once and keeps the better attempt. `Policy(keep="last", rounds=1)` is the paper's Reagent-C: it
    always revises and always returns the revision (arXiv 2601.22154, section on text-augmented refinement).
    """

    rounds: int = Field(1, ge=0, description="revisions at most; 0 judges the first attempt and never revises")
    accept: Annotated[float, Field(ge=0, le=1)] | Literal["gate"] | None = Field(
        "gate",
        description="stop when a score reaches this; 'gate' takes the judge's own threshold when it ships one; "
        "None never accepts early",
    )
    revise_below: Annotated[float, Field(ge=0, le=1)] | Literal["judge"] | None = Field(
        "judge",
        description="revise only work scored below this; 'judge' takes the rule that the judge ships, fitted so that "
        "revising mends more than it breaks; None revises whatever is not accepted",
    )
    floor: float | None = Field(None, ge=0, le=1, description="a final score below this makes the run 'abstained'")
    on_low_score: Literal["return", "raise"] = Field(
        "return",
        description="an abstained run returns its answer, or raises LowScore; without a floor the accept "
        "threshold is the mark",
    )
    on_leak: Literal["redact", "keep"] = Field(
        "redact", description="answers that a critique gives away are removed before the agent reads it, or kept"
    )
    keep: Literal["best", "last"] = Field("best", description="which attempt is returned")
    on_judge_failure: Literal["keep", "raise"] = Field(
        "keep", description="a failed judge leaves the draft as it is, or raises JudgeFailed"
    )
