"""What came of one question under one arm: the row that tables, intervals and pages are made of."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field, model_validator

from reagent_sdk.frozen import Frozen
from reagent_sdk.run import Run


class Outcome(StrEnum):
    """How a question ended. Only the first two say anything about the agent's answers."""

    RIGHT = "right"
    WRONG = "wrong"
    """Graded, and not right; an agent that gives an empty answer is wrong as well."""
    AGENT_FAILED = "agent_failed"
    """The agent crashed: there is no answer to grade."""
    TIMED_OUT = "timed_out"
    """The question's time ran out."""
    UNREACHABLE = "unreachable"
    """A server that the agent needs gave no answer."""
    GRADER_FAILED = "grader_failed"
    """There is an answer, and nobody could say whether it is right."""

    @property
    def graded(self) -> bool:
        """Whether the row counts in accuracies."""
        return self in (Outcome.RIGHT, Outcome.WRONG)


class ArmResult(Frozen):
    """One question, one epoch, one arm. `(benchmark, sample, epoch, arm, seed)` is unique in a set of results.

    Arms on the same question share their first attempt, so a difference between them is the critique's.
    """

    benchmark: str
    sample: str = Field(description="the question's id, unique in its benchmark")
    group: str = Field("", description="questions that belong together, for intervals; the sample itself by default")
    epoch: int = Field(1, ge=1, description="which repetition of the question")
    seed: int = Field(0, ge=0)
    arm: str = Field(description='such as "bare", "critique" or "gated"')
    outcome: Outcome
    why: str = Field("", description="one line: what failed, or what the grader says")
    answer: str | None = None
    references: tuple[str, ...] = ()
    first: Outcome | None = Field(None, description="what became of the shared first attempt")
    judge_failed: bool = Field(False, description="a verdict that the arm needed had no score")
    score: float | None = Field(None, ge=0, le=1, description="the judge's score of the returned attempt")
    attempts: int = Field(1, ge=0)
    calls: int = Field(0, ge=0, description="model calls of agent and judge, the shared first attempt included")
    tokens: int = Field(0, ge=0, description="prompt and completion tokens of all calls, as far as they are known")
    cost_usd: float | None = Field(None, ge=0, description="None where a price is unknown; never 0 for it")
    seconds: float = Field(0.0, ge=0, description="wall-clock seconds, the shared first attempt included")
    stopped_tools: int | None = Field(None, ge=0, description="tool calls ended by their time limit; None: not counted")
    run: Run | None = Field(None, description="the whole run, for reports and training data")

    @model_validator(mode="after")
    def _answered_when_graded(self) -> ArmResult:
        if self.outcome.graded and self.answer is None:
            raise ValueError("a graded result needs its answer; what failed is an outcome of its own")
        return self

    @property
    def right(self) -> bool | None:
        """Whether the answer is right; None where nobody could say."""
        return self.outcome is Outcome.RIGHT if self.outcome.graded else None

    @property
    def cluster(self) -> str:
        """What intervals resample by."""
        return self.group or self.sample
