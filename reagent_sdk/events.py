"""What happens during a run, for whoever watches: a live view, a stream, a log.

Events carry drafts that may be rejected later. Nothing but `RunFinished` is an answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from reagent_sdk.messages import ToolCall
from reagent_sdk.run import Run
from reagent_sdk.trajectory import Trajectory
from reagent_sdk.verdict import Verdict

Stage: TypeAlias = Literal["agent", "judge"]


@dataclass(frozen=True, slots=True)
class AttemptStarted:
    """An attempt begins; `feedback` is the critique it answers, None for the first draft."""

    index: int
    feedback: str | None


@dataclass(frozen=True, slots=True)
class TextDelta:
    """New text from a model that streams, in the order in which it was generated."""

    stage: Stage
    text: str


@dataclass(frozen=True, slots=True)
class PromptProgress:
    """A local model reads its prompt: `done` of `total` tokens so far."""

    stage: Stage
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Retrying:
    """A request failed and will be sent again after `wait` seconds."""

    stage: Stage
    model: str
    reason: str
    wait: float


@dataclass(frozen=True, slots=True)
class ToolCalled:
    """The agent calls a tool."""

    call: ToolCall


@dataclass(frozen=True, slots=True)
class ToolReturned:
    """A tool call ended; `error` is the type of its error, None when all went well."""

    call: ToolCall
    text: str
    error: str | None


@dataclass(frozen=True, slots=True)
class AttemptSolved:
    """The agent finished an attempt; it has not been judged yet."""

    index: int
    trajectory: Trajectory


@dataclass(frozen=True, slots=True)
class AttemptJudged:
    """The judge spoke."""

    index: int
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class RunFinished:
    """The run ended; its chosen answer is final."""

    run: Run


Event: TypeAlias = (
    AttemptStarted
    | TextDelta
    | PromptProgress
    | Retrying
    | ToolCalled
    | ToolReturned
    | AttemptSolved
    | AttemptJudged
    | RunFinished
)
