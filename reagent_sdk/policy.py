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
    keep: Literal["best", "last"] = Field("best", description="which attempt is returned")
    on_judge_failure: Literal["keep", "raise"] = Field(
        "keep", description="a failed judge leaves the draft as it is, or raises JudgeFailed"
    )

    def threshold(self, gate: float | None) -> float | None:
        """The accept threshold in force for a judge whose own gate is `gate`, or None.

        A gate belongs to keep-best: it decides when a revision would not pay. `keep="last"` always revises.
        """
        if self.accept != "gate":
            return self.accept
        return None if self.keep == "last" else gate
