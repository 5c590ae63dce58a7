"""What `reagent reproduce mini` is told: one YAML file for the world, the base, the arms and the evaluation."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from reagent_sdk.frozen import Frozen
from reagent_training.train.config import Positive

ARMS = ("agent-grpo", "reagent-r", "reagent-u")


class World(Frozen):
    """The generated tasks."""

    families: tuple[str, ...] = ("words",)
    train: int = Field(400, ge=8, description="tasks to learn from")
    variants: int = Field(4, ge=1, le=16, description="trajectories of each")
    test: int = Field(100, ge=4, description="held-out tasks of the same kinds, other questions")
    split: Literal["train", "test"] = Field(
        "train", description="test: held-out tasks of templates and names that training never saw"
    )


class CompactModel(Frozen):
    """A base that is made on the spot."""

    vocabulary: int = Field(1_200, ge=300)
    hidden: int = Field(160, ge=16)
    layers: int = Field(4, ge=1)
    heads: int = Field(4, ge=1)
    positions: int = Field(1_024, ge=128)
    batch: int = Field(16, ge=1)
    epochs: Positive = 3.0
    learning_rate: Positive = 2e-3
    drills: int = Field(
        0,
        ge=0,
        description="texts at most of a few tokens in any order, said three times, learnt at the end: a model of "
        "this size does not learn to copy a number out of a question by itself",
    )
    drilled: float = Field(0.3, ge=0, description="loss in nats at which the drills end")
    drill_rate: Positive = Field(1e-3, description="learning rate of the drills, constant")


class Evaluation(Frozen):
    """How arms are measured on the held-out tasks."""

    samples: int = Field(3, ge=1, description="attempts at each task, for pass@1 and pass@k")
    temperature: Positive = 0.6
    top_p: float = Field(0.95, gt=0, le=1)
    batch: int = Field(64, ge=1)


class MiniConfig(Frozen):
    """The whole reproduction. `agent_sft`, `rrm_sft` and `rl` are settings of those recipes, as in their own files."""

    name: str = "mini"
    base: str = Field("compact", description="compact, or weights as in any recipe")
    compact: CompactModel = CompactModel()
    world: World = World()
    seeds: tuple[int, ...] = Field((0, 1, 2), min_length=1)
    arms: tuple[str, ...] = ARMS
    agent_sft: dict[str, Any] = Field(default_factory=dict)
    rrm_sft: dict[str, Any] = Field(default_factory=dict)
    rl: dict[str, Any] = Field(default_factory=dict)
    judge: dict[str, Any] = Field(default_factory=dict, description="weight and limits of the judge, see `JudgeSource`")
    evaluation: Evaluation = Evaluation()
    equal_tokens: bool = Field(
        True, description="arms without revisions go on until they have generated as many tokens as Reagent-U"
    )

    @model_validator(mode="after")
    def _known_arms(self) -> MiniConfig:
        unknown = [arm for arm in self.arms if arm not in ARMS]
        if unknown:
            raise ValueError(f"there is no arm {unknown[0]!r}; there are {', '.join(ARMS)}")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("a seed is named twice")
        return self
