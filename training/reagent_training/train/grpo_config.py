"""What recipes that learn from rewards are told: where they start, how they sample, how samples move the weights."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from reagent_sdk.frozen import Frozen
from reagent_training.train.config import JudgeConfig, Optimiser, Positive, RunConfig


class Vllm(Frozen):
    """Replies sampled by vLLM and not by the training process."""

    mode: Literal["colocate", "server"] = Field(
        "colocate", description="inside each training process, or a `trl vllm-serve` of its own"
    )
    server: str | None = Field(None, description="address of that server, such as http://127.0.0.1:8000")
    memory: float = Field(0.3, gt=0, lt=1, description="share of a device's memory, with `colocate`")
    tensor_parallel: int = Field(1, ge=1, description="devices that share one copy, with `colocate`")
    sleep: bool = Field(False, description="gives its memory back while weights are moved, with `colocate`")
    correction: Literal["token_truncate", "token_mask", "sequence_truncate", "sequence_mask"] = Field(
        "token_truncate", description="of what vLLM and the trainer hold for a token's probability, where they differ"
    )


class Rollout(Frozen):
    """How replies are sampled."""

    group: int = Field(8, ge=2, description="replies to each prompt; they are compared with one another")
    temperature: Positive = Field(
        1.0, description="1 samples what is trained and what the SDK reads the grade from; below, both are off"
    )
    top_p: float = Field(1.0, gt=0, le=1)
    max_new_tokens: int = Field(512, ge=8, description="a reply that is cut off has no score, and earns nothing")
    vllm: Vllm | None = None


class Objective(Frozen):
    """How rewards move the weights."""

    loss: Literal["dapo", "grpo", "dr_grpo", "bnpo"] = Field("dapo", description="how token losses are averaged")
    beta: float = Field(0.0, ge=0, description="weight of the divergence from the weights at the start")
    divergence: Literal["unbiased", "plain"] = Field(
        "unbiased", description="`unbiased` multiplies a token's divergence by its ratio, `plain` is the papers' term"
    )
    epsilon_low: float = Field(0.2, gt=0, lt=1)
    epsilon_high: Positive = Field(0.28, description="higher than epsilon_low leaves room for rare tokens")
    scale: Literal["batch", "group", "none"] = Field(
        "batch", description="what advantages are divided by; `group` makes a scoring rule improper, see the docs"
    )
    iterations: int = Field(1, ge=1, description="updates that are made of the same replies")


class RewardedConfig(RunConfig):
    """What all recipes on GRPO share."""

    init: Path | None = Field(
        None,
        description="a folder that SFT wrote (`rrm-sft` for judges, `agent-sft` for agents); null starts from the "
        "base. An adapter is trained further as it is, whatever `lora` says; full weights need `lora: null`",
    )
    rollout: Rollout = Rollout()
    objective: Objective = Objective()
    optimiser: Optimiser = Optimiser(learning_rate=1e-5, batch=8, accumulate=1, schedule="constant_with_warmup")

    @property
    def replies(self) -> int:
        """Replies to each prompt whose rewards are compared with one another."""
        return self.rollout.group

    @model_validator(mode="after")
    def _whole_generations(self) -> RewardedConfig:
        if self.save_every % self.objective.iterations:
            raise ValueError("save_every must be a multiple of objective.iterations, or a run cannot go on exactly")
        return self


class GrpoConfig(JudgeConfig, RewardedConfig):
    """What the recipes on GRPO for judges share."""


class RewardSettings(Frozen):
    """The reward of a reply: format + calibration + ranking - leak - length, each with its weight; see the docs."""

    calibration: float = Field(1.0, ge=0, description="weight of the scoring rule")
    ranking: float = Field(0.0, ge=0, description="weight of comparisons with other work on the question")
    leak: float = Field(0.5, ge=0, description="taken off a critique that gives the answer away")
    length: float = Field(0.2, ge=0, description="weight of the share of characters beyond length_limit")
    length_limit: int = Field(1_600, ge=1, description="characters of analysis and critique together")
    label: Literal["score", "correct"] = Field("score", description="what the score is held against")
    read: Literal["written", "grade"] | None = Field(
        None,
        description="the number at the end, or the digit at the beginning; null: the digit where the prompt has one",
    )
    calibrate: Literal["sample", "expectation"] | None = Field(
        None, description="whether each score is to be right, or their mean; null: the mean of digits, each number"
    )

    @property
    def weights(self) -> dict[str, float]:
        """The weights by part."""
        return self.model_dump(include={"calibration", "ranking", "outcome", "leak", "length"})

    @model_validator(mode="after")
    def _rewards_something(self) -> RewardSettings:
        if not any(self.weights.get(name) for name in ("calibration", "ranking", "outcome")):
            raise ValueError("the reward measures nothing: give calibration, ranking or outcome a weight above 0")
        return self


class GrpoRrmConfig(GrpoConfig):
    """`reagent train rrm-grpo`."""

    recipe: Literal["rrm-grpo"] = "rrm-grpo"
    reward: RewardSettings = RewardSettings()
