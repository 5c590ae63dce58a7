"""One run of the loop, from the task to the attempt that was chosen, as immutable data."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Literal
from uuid import uuid4

from pydantic import Field

from reagent_sdk.budget import Budget
from reagent_sdk.frozen import Frozen
from reagent_sdk.policy import Policy
from reagent_sdk.task import Task
from reagent_sdk.trajectory import Trajectory
from reagent_sdk.usage import Usage
from reagent_sdk.verdict import Verdict


class StopReason(StrEnum):
    """Why a run ended. Every run ends with one of these."""

    ACCEPTED = "accepted"
    """A score reached the accept threshold."""
    ROUNDS = "rounds"
    """All revisions that the policy allows were made."""
    UNCHANGED = "unchanged"
    """The revision gave the same answer as the draft before it."""
    REPEATED_CRITIQUE = "repeated_critique"
    """The judge said the same as before; another revision would go in circles."""
    NO_GAIN = "no_gain"
    """The judge's revision rule holds that revising work of this score does more harm than good."""
    NO_CRITIQUE = "no_critique"
    """The judge scored the draft but named nothing to improve."""
    BUDGET = "budget"
    """A limit of the budget was reached, or too little was left to revise and judge again."""
    JUDGE_FAILED = "judge_failed"
    """No readable verdict; the draft is kept."""
    JUDGE_ABSTAINED = "judge_abstained"
    """The judge declined to score; the draft is kept."""
    JUDGE_CHANGED = "judge_changed"
    """Another judge stepped in, whose scores cannot be compared with the earlier ones."""
    REVISION_FAILED = "revision_failed"
    """The agent failed while revising; the draft is kept."""
    AGENT_FAILED = "agent_failed"
    """The agent failed on its first attempt; its error was raised."""
    STOPPED = "stopped"
    """Whoever iterated over the attempts stopped early."""


class RunStatus(StrEnum):
    """How far the answer of a run can be relied upon."""

    ACCEPTED = "accepted"
    """Its score reached the accept threshold."""
    ANSWERED = "answered"
    """It has a score that reached no threshold, or there was none."""
    ABSTAINED = "abstained"
    """Its score is below the floor: better no answer than this one."""
    UNJUDGED = "unjudged"
    """It has no score."""
    FAILED = "failed"
    """There is no answer."""


class Attempt(Frozen):
    """One trajectory and what the judge said of it."""

    index: int = Field(ge=0, description="0 is the first draft")
    trajectory: Trajectory
    verdict: Verdict | None = Field(None, description="None when the attempt was not judged")
    feedback: str | None = Field(None, description="the critique this attempt answers; None for the first draft")

    @property
    def answer(self) -> str:
        """The attempt's final answer."""
        return self.trajectory.answer

    @property
    def score(self) -> float | None:
        """The judge's score in [0, 1], or None without one."""
        return self.verdict.score if self.verdict else None


class Run(Frozen):
    """A task, the attempts at it in order, which was chosen and why it stopped."""

    schema_version: Literal[1] = 1
    id: str = Field(default_factory=lambda: uuid4().hex)
    started_at: datetime = Field(default_factory=lambda: datetime.now(UTC))
    task: Task
    attempts: tuple[Attempt, ...] = ()
    chosen: int | None = Field(None, description="index of the attempt that was returned; None when there was none")
    stop: StopReason
    status: RunStatus = RunStatus.ANSWERED
    why: str = Field("", description="one sentence: what was chosen and why the run stopped")
    policy: Policy = Policy()
    budget: Budget = Budget()
    threshold: float | None = Field(None, description="the accept threshold in force")
    revise_below: float | None = Field(None, description="the score from which on work was not revised")
    floor: float | None = Field(None, description="the score below which the run abstains")
    judge: str = ""
    usage: Usage = Usage()
    seconds: float = Field(0.0, ge=0, description="wall-clock seconds of the whole run")
    notes: tuple[str, ...] = Field((), description="what a reader should know, such as a missing gate")

    @property
    def best(self) -> Attempt | None:
        """The chosen attempt."""
        return None if self.chosen is None else self.attempts[self.chosen]

    @property
    def answer(self) -> str | None:
        """Answer of the chosen attempt."""
        return self.best.answer if self.best else None

    @property
    def score(self) -> float | None:
        """Score of the chosen attempt, or None when it has none."""
        return self.best.score if self.best else None
