"""What `reagent train critic-outcome` is told."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from reagent_sdk.frozen import Frozen
from reagent_training.train.config import Positive
from reagent_training.train.grpo_config import GrpoConfig, RewardSettings


class RevisingAgent(Frozen):
    """The frozen agent whose revision shows what a critique is worth."""

    spec: str = Field(
        description="a model as the SDK names it: local, local:PATH, http://HOST:PORT/v1 or provider/model"
    )
    temperature: float | None = Field(
        0.0, ge=0, description="0 gives each critique one outcome; null is the server's own"
    )
    max_tokens: int = Field(1_024, ge=1, description="longest revision; one that is cut off must mark its answer")
    seconds: Positive = Field(120.0, description="after so many, a revision has failed")
    concurrency: int = Field(8, ge=1, description="revisions at a time, in each training process")
    patience: int = Field(32, ge=1, description="failures in a row after which the agent counts as dead")


class CriticReward(RewardSettings):
    """The same reward, with the outcome of the revision beside the rest."""

    outcome: float = Field(1.0, ge=0, description="weight of the revision's success")
    form: Literal["after", "gain"] = Field(
        "after", description="whether the revision is right, or that less whether the attempt was"
    )
    calibration: float = Field(0.0, ge=0, description="above 0 keeps the score while the critique is trained")


class CriticConfig(GrpoConfig):
    """`reagent train critic-outcome`."""

    recipe: Literal["critic-outcome"] = "critic-outcome"
    agent: RevisingAgent
    reward: CriticReward = CriticReward()
