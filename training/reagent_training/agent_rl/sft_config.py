"""What `reagent train agent-sft` is told."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from reagent_sdk.cli.toolset import NAMES
from reagent_training.sampling.arms import INSTRUCTIONS, NO_TOOLS, OWN_TOOLS
from reagent_training.train.config import RunConfig, Source


class AgentSource(Source):
    """A file of labelled trajectories, and the tasks that they are work on."""

    tasks: Path | None = Field(
        None, description="the folder of the generated tasks, for tools: own; null: the folder that holds the file"
    )


class AgentSftConfig(RunConfig):
    """`reagent train agent-sft`."""

    recipe: Literal["agent-sft"] = "agent-sft"
    train: tuple[AgentSource, ...] = Field(min_length=1)
    validation: tuple[AgentSource, ...] = ()
    only: Literal["right", "all"] = Field("right", description="right: work with `correct: true`; all: all work")
    min_score: float | None = Field(None, ge=0, le=1, description="work with a lower score, or none, is left out")
    tools: str = Field(OWN_TOOLS, description="own: those that belong to each task; none; or names with commas")
    corpus: Path | None = Field(None, description="what `search` searched; null: the web")
    root: Path = Field(Path("."), description="the folder whose files the tools could read")
    max_result_chars: int = Field(
        4_000, ge=200, description="longer tool results are cut in the middle, as in rollouts"
    )
    instructions: str = INSTRUCTIONS
    revision_share: float = Field(
        0.0, ge=0, lt=1, description="share of examples that revise other work on the question after its critique"
    )
    revision_drafts: Literal["wrong", "any"] = Field(
        "wrong", description="what is revised. any: also work that was right, which teaches to let a good answer stand"
    )
    validate_every: int | None = Field(None, ge=1, description="updates between passes over the validation rows")

    @field_validator("tools")
    @classmethod
    def _known_tools(cls, names: str) -> str:
        unknown = [] if names in (NO_TOOLS, OWN_TOOLS) else [name for name in names.split(",") if name not in NAMES]
        if unknown:
            raise ValueError(f"there is no tool {unknown[0]!r}; there are {', '.join(NAMES)}, none, or own")
        return names
