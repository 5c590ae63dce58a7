"""The two tools, as plain functions over the SDK: what MCP clients see of a verdict and of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, Field

from reagent_sdk.errors import InvalidInput
from reagent_sdk.judges.base import Judge, caveat_of, heard
from reagent_sdk.messages import from_openai
from reagent_sdk.run import Run
from reagent_sdk.task import Task
from reagent_sdk.trajectory import Trajectory
from reagent_sdk.verdict import Verdict


class Critique(BaseModel):
    """A judge's verdict on a trajectory."""

    status: str = Field(description="scored, or why there is no score: abstained, unparseable, truncated, unavailable")
    score: float | None = Field(description="quality of the whole work in [0, 1]; null unless status is scored")
    critique: str = Field(description="what to improve, addressed to whoever did the work")
    reason: str = Field("", description="why there is no score")
    judge: str = Field(description="which judge spoke")
    caveat: str = Field("", description="what to know about this judge's scores")

    @classmethod
    def of(cls, verdict: Verdict, judge: Judge) -> Critique:
        """What of a verdict leaves the server: all but the judge's analysis."""
        return cls(
            status=verdict.status.value,
            score=verdict.score,
            critique=verdict.critique,
            reason=verdict.reason,
            judge=verdict.judge or judge.name,
            caveat=caveat_of(judge),
        )


class JudgedAttempt(BaseModel):
    """One attempt of a run."""

    status: str = Field(description="the verdict's status, or unjudged")
    score: float | None
    critique: str


class Solution(BaseModel):
    """An answer that went through critique."""

    answer: str = Field(description="answer of the best attempt")
    status: str = Field(description="accepted, answered, abstained (better no answer than this one) or unjudged")
    score: float | None = Field(description="the answer's score in [0, 1]; null without one")
    why: str = Field(description="which attempt this is, and why the run stopped")
    attempts: list[JudgedAttempt]
    calls: int = Field(description="model calls of agent and judge together")
    tokens: int | None = Field(description="their tokens; null when a call reported none")
    notes: list[str] = Field(description="what a reader should know")

    @classmethod
    def of(cls, run: Run) -> Solution:
        """A run as the client sees it."""
        told = [(one.verdict, one.score) for one in run.attempts]
        return cls(
            answer=run.answer or "",
            status=run.status.value,
            score=run.score,
            why=run.why,
            attempts=[
                JudgedAttempt(status=v.status.value if v else "unjudged", score=score, critique=v.critique if v else "")
                for v, score in told
            ],
            calls=run.usage.calls,
            tokens=run.usage.total_tokens,
            notes=list(run.notes),
        )


async def critique(judge: Judge, trajectory: str | Sequence[Mapping[str, Any]], question: str | None) -> Critique:
    """The judge's verdict on a trajectory that a client sends.

    Args:
        judge: who judges.
        trajectory: chat messages in the OpenAI format, tool calls and results included; or an answer alone.
        question: what was asked; by default the last user message that has work after it.

    Raises:
        InvalidInput: no question, no work, or something that is no chat message.
    """
    task, work = read_trajectory(trajectory, question)
    return Critique.of(await heard(judge, task, work), judge)


def read_trajectory(given: str | Sequence[Mapping[str, Any]], question: str | None) -> tuple[Task, Trajectory]:
    """Splits a conversation into what was asked and the work that followed.

    Raises:
        InvalidInput: as :func:`critique` says.
    """
    if isinstance(given, str):
        if question is None or not given.strip():
            raise InvalidInput("a trajectory that is a text is an answer: it must not be empty, and needs its question")
        return Task.of(question), Trajectory(answer=given)
    messages = from_openai(given)
    worked = [index for index, message in enumerate(messages) if message.role in ("assistant", "tool")]
    asked = [i for i, m in enumerate(messages) if m.role == "user" and m.text.strip() and worked and i < worked[-1]]
    if question is not None:
        asked = [index for index in asked if messages[index].text.strip() == question.strip()]
    elif not asked:
        raise InvalidInput("no user message is followed by work: pass the question, or messages that begin with it")
    start = asked[-1] + 1 if asked else 0
    history = messages[: start - 1] if asked else ()
    text = question if question is not None else messages[start - 1].text
    return Task.of(text).model_copy(update={"history": history}), Trajectory.from_openai(messages[start:])
