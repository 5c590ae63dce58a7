"""What the recipes for agents are told. Defaults are the paper's where it gives any (arXiv 2601.22154)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from reagent_sdk.frozen import Frozen
from reagent_training.sampling.arms import INSTRUCTIONS, OWN_TOOLS
from reagent_training.train.config import Optimiser, Positive
from reagent_training.train.grpo_config import Objective, RewardedConfig, Rollout


class Tasks(Frozen):
    """Questions with their right answers, or a part of them."""

    path: Path = Field(description="a folder that `reagent data synth` made, or lines of question and answer")
    rows: int | None = Field(None, ge=1, description="only so many, from the beginning")
    grader: str | None = Field(
        None, description="what grades the answers of a file: maths, text, choice, yes_no, numeric or code"
    )


class AgentRollout(Rollout):
    """How the agent works on a task. Every limit is one of training; none is known to the weights."""

    temperature: Positive = 0.7
    top_p: float = Field(0.95, gt=0, le=1)
    max_new_tokens: int = Field(512, ge=8, description="longest reply, each turn; what is longer is cut off")
    steps: int = Field(13, ge=1, description="turns that may call tools; one more asks for the final answer")
    tools: str = Field(OWN_TOOLS, description="own: those that belong to each task; none; or names with commas")
    corpus: Path | None = Field(None, description="searched by `search` in place of the web")
    root: Path = Field(Path("."), description="the folder whose files tools may read")
    tool_seconds: Positive = Field(30.0, description="a tool call that takes longer is stopped, and the agent told")
    max_result_chars: int = Field(4_000, ge=200, description="longer tool results are cut in the middle")
    remember_tools: bool = Field(
        False,
        description="a call that was made before on the same task, after the same calls, gets the result of then: "
        "for tools whose results never change",
    )
    instructions: str = INSTRUCTIONS


class JudgeSource(Frozen):
    """Who judges during training, and how much a score weighs."""

    spec: str = Field(description="any judge spec; hf:FOLDER is asked in batches")
    weight: float = Field(0.3, ge=0, description="lambda of Eq. 6")
    max_new_tokens: int = Field(640, ge=16, description="longest verdict of a judge that is asked in batches")
    batch: int = Field(32, ge=1, description="verdicts written at a time by a judge that is asked in batches")
    concurrency: int = Field(16, ge=1, description="verdicts asked for at a time of any other judge")
    patience: int = Field(64, ge=1, description="failed verdicts in a row after which the run ends; it can go on later")
    wait_seconds: float = Field(600.0, ge=0, description="how long one that is unavailable is waited for")


class AgentObjective(Objective):
    """Eq. 7 to 9: each group is scaled by its own deviation, each attempt counts the same, clipping is symmetric."""

    loss: Literal["dapo", "grpo", "dr_grpo", "bnpo"] = Field("grpo", description="how token losses are averaged")
    scale: Literal["batch", "group", "none"] = Field("group", description="what advantages are divided by")
    epsilon_high: Positive = Field(0.2, description="higher than epsilon_low leaves room for rare tokens")


class AgentOptimiser(Optimiser):
    """How weights are moved."""

    learning_rate: Positive = 5e-7
    max_steps: int | None = Field(300, ge=1, description="updates; null: as many as the epochs take")
    batch: int = Field(8, ge=1, description="rollouts a device works on at once; revisions count as rollouts")
    accumulate: int = Field(1, ge=1, description="batches of each device that make an update")
    schedule: Literal["linear", "cosine", "constant_with_warmup"] = "constant_with_warmup"

    @model_validator(mode="before")
    @classmethod
    def _epochs_count(cls, given: Any) -> Any:
        """Whoever gives epochs means them, and not the paper's number of updates."""
        if isinstance(given, dict) and "epochs" in given and "max_steps" not in given:
            return {**given, "max_steps": None}
        return given


class AgentConfig(RewardedConfig):
    """`reagent train agent-grpo`, `reagent-r` and `reagent-u`."""

    recipe: Literal["agent-grpo", "reagent-r", "reagent-u"]
    tasks: tuple[Tasks, ...] = Field(min_length=1)
    rollout: AgentRollout = AgentRollout()
    objective: AgentObjective = AgentObjective()
    optimiser: AgentOptimiser = AgentOptimiser()
    judge: JudgeSource | None = None
    pool: Literal["both", "first", "revised"] = Field(
        "both", description="which attempts are learnt from, and compared with one another; the paper: both"
    )
    degenerate: Literal["keep", "drop"] = Field(
        "keep", description="drop: groups of equal rewards, which move nothing, do not count in the mean over tokens"
    )
    mask_truncated: bool = Field(False, description="rollouts that a limit cut off are not learnt from")
    samples: int = Field(24, ge=0, description="tasks whose rollouts are kept for the page of samples")

    @property
    def revises(self) -> bool:
        """Whether each first attempt is followed by a critique and a revision (Reagent-U)."""
        return self.recipe == "reagent-u"

    @property
    def replies(self) -> int:
        """Rollouts of each task whose rewards are compared: G, and 2G with revisions (Eq. 7)."""
        return self.rollout.group * (2 if self.revises else 1)

    @property
    def judge_weight(self) -> float:
        """Lambda of Eq. 6; 0 without a judge."""
        return self.judge.weight if self.judge else 0.0

    @model_validator(mode="after")
    def _fits_the_recipe(self) -> AgentConfig:
        if self.recipe == "agent-grpo" and self.judge is not None:
            raise ValueError("agent-grpo learns from the rule alone; leave judge out, or use reagent-r")
        if self.recipe != "agent-grpo" and self.judge is None:
            raise ValueError(f"{self.recipe} needs a judge: give judge.spec")
        if self.pool != "both" and not self.revises:
            raise ValueError(f"{self.recipe} makes no revisions, so pool must be both")
        if self.revises and self.optimiser.batch % 2:
            raise ValueError("optimiser.batch must be even: first attempts and their revisions come in pairs")
        if self.degenerate == "drop" and self.objective.loss not in ("dapo", "bnpo"):
            raise ValueError(
                f"degenerate: drop changes a mean over tokens, and objective.loss {self.objective.loss} takes none; "
                "set objective.loss: dapo"
            )
        if self.rollout.max_new_tokens >= self.max_tokens:
            raise ValueError("rollout.max_new_tokens must leave room for a prompt within max_tokens")
        return self
