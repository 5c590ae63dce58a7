"""What a judge says of a trajectory."""

from __future__ import annotations

import math
from enum import StrEnum
from statistics import pstdev
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from reagent_sdk.frozen import Frozen
from reagent_sdk.usage import Usage


class VerdictStatus(StrEnum):
    """How judging ended. Only `scored` carries a number."""

    SCORED = "scored"
    """The judge gave a score in [0, 1]."""
    ABSTAINED = "abstained"
    """The judge declined to score."""
    UNPARSEABLE = "unparseable"
    """The judge answered, but not with one well-formed verdict."""
    TRUNCATED = "truncated"
    """The judge's answer was cut off by a token limit."""
    UNAVAILABLE = "unavailable"
    """The judge could not be reached, or failed."""


class StepLabel(Frozen):
    """What a judge says of one step of the agent."""

    step: int = Field(ge=1, description="its number in the record that the judge read")
    message: int = Field(ge=0, description="its index in the trajectory's messages")
    label: Literal[-1, 0, 1] = Field(description="1 good, 0 neutral, -1 bad")


class Verdict(Frozen):
    """A judge's verdict on one trajectory. Only `critique` ever reaches the agent.

    `score` is the quality of the whole process in [0, 1], and None unless `status` is `scored`.
    """

    status: VerdictStatus
    score: float | None = None
    critique: str = ""
    analysis: str = Field("", description="the judge's internal reasoning; never shown to the agent")
    reason: str = Field("", description="why there is no score; empty when there is one")
    judge: str = Field("", description="which judge spoke; scores of different judges are not compared")
    prompt_version: str = ""
    usage: Usage = Usage()
    asks: int = Field(1, ge=0, description="how often the judge was asked for this verdict")
    omitted_chars: int = Field(0, ge=0, description="characters of the trajectory left out to fit the judge's window")
    raw: str | None = Field(None, description="what the judge wrote, kept only when it could not be read")
    leaks: tuple[str, ...] = Field(
        (), description="answers that the critique states and the agent's work does not hold"
    )
    scores: tuple[float, ...] = Field((), description="the scores that an ensemble combined into one")
    said_score: float | None = Field(
        None, ge=0, le=1, description="the number that the judge wrote, where the score was read from its probabilities"
    )
    bare_score: float | None = Field(
        None, ge=0, le=1, description="the judge's own score, where a calibration mapped it"
    )
    steps: tuple[StepLabel, ...] = Field(
        (), description="a label for each step that was shown, where they were asked for"
    )
    steps_reason: str = Field("", description="why there are no such labels although they were asked for")

    @field_validator("critique", "analysis")
    @classmethod
    def _strip(cls, text: str) -> str:
        return text.strip()

    @field_validator("score", mode="before")
    @classmethod
    def _a_number(cls, score: object) -> object:
        if isinstance(score, bool | str):
            raise ValueError("score is a number in [0, 1]")
        return score

    @model_validator(mode="after")
    def _score_iff_scored(self) -> Self:
        if (self.score is not None) != (self.status is VerdictStatus.SCORED):
            raise ValueError("a verdict has a score if and only if its status is 'scored'")
        if self.score is not None and not (math.isfinite(self.score) and 0.0 <= self.score <= 1.0):
            raise ValueError(f"score {self.score} is outside [0, 1]")
        return self

    @classmethod
    def of(cls, score: float, critique: str = "", *, analysis: str = "", judge: str = "") -> Verdict:
        """A scored verdict."""
        return cls(status=VerdictStatus.SCORED, score=score, critique=critique, analysis=analysis, judge=judge)

    @classmethod
    def failed(cls, status: VerdictStatus, reason: str, *, judge: str = "") -> Verdict:
        """A verdict without a score, and why."""
        return cls(status=status, reason=reason, judge=judge)

    @property
    def scored(self) -> bool:
        """Whether there is a score."""
        return self.status is VerdictStatus.SCORED

    @property
    def spread(self) -> float | None:
        """How far an ensemble's members lie apart: the standard deviation of `scores`; None without an ensemble."""
        return pstdev(self.scores) if self.scores else None
