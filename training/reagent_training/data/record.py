"""A labelled trajectory: what an agent was asked, what it did, and what is known of its worth.

One record serves every recipe: supervised targets (analysis, critique, score), outcomes to calibrate against (correct),
step labels and preference pairs. Only `task` and `trajectory` are ever shown to a judge.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, JsonValue, StrictBool, ValidationError, field_validator, model_validator

from reagent_sdk.errors import InvalidInput
from reagent_sdk.frozen import Frozen
from reagent_sdk.prompts import CURRENT_PROMPT
from reagent_sdk.task import Task
from reagent_sdk.trajectory import Trajectory

SCHEMA_VERSION: Literal[1] = 1


def _says_something(text: str) -> str:
    if not text.strip():
        raise ValueError("it must not be empty")
    return text


Name = Annotated[str, AfterValidator(_says_something)]
"""A text that is not blank."""


class _Carried(Frozen):
    """Open fields of other types, held to what JSON carries: written as they are, and not as their text or as null."""

    open_fields: JsonValue


class LabelSource(StrEnum):
    """Who or what says how good the work is."""

    HUMAN = "human"
    """People labelled steps, reasons, preferences or the outcome."""
    ENVIRONMENT = "environment"
    """The environment checked what the work left behind."""
    OUTCOME = "outcome"
    """The final answer was graded against a reference."""
    TEACHER = "teacher"
    """A larger model judged it."""
    RULE = "rule"
    """A program decided, from the record alone."""
    SYNTHETIC = "synthetic"
    """The work was generated together with its label."""


class StepLabel(Frozen):
    """What is known of one step.

    Attributes:
        message: index in `trajectory.messages`, from 0.
        label: 1 good, 0 neutral, -1 wrong.
        reason: why, in words; empty where nobody said.
    """

    message: int = Field(ge=0)
    label: Literal[-1, 0, 1]
    reason: str = ""


class LabelledTrajectory(Frozen):
    """One attempt at a task, with its labels. At least one label must be there."""

    schema_version: Literal[1] = SCHEMA_VERSION
    id: Name = Field(description="unique within a file; it may name the label, and no judge sees it")
    group: Name = Field(description="the question; rows of one group are never split")
    source: Name = Field(description="the data set it comes from")
    label_source: LabelSource
    task: Task
    trajectory: Trajectory
    correct: StrictBool | None = Field(None, description="whether the final answer is right")
    score: float | None = Field(None, ge=0, le=1, description="target: quality of the whole process")
    critique: Name | None = Field(None, description="target: advice for the agent, without the answer")
    analysis: Name | None = Field(None, description="target: the judge's own check of the work")
    steps: tuple[StepLabel, ...] = ()
    pair: Name | None = Field(None, description="the preference pair it is one side of")
    preferred: StrictBool | None = Field(None, description="whether it is the better side of its pair")
    prompt_version: Name = Field(CURRENT_PROMPT, description="the judge's prompt that the targets are written for")
    licence: str = ""
    metadata: dict[str, JsonValue] = Field(default_factory=dict)

    @field_validator("score", mode="before")
    @classmethod
    def _a_number(cls, score: object) -> object:
        if isinstance(score, bool | str):
            raise ValueError("a number from 0 to 1 is needed")
        return score

    @field_validator("trajectory")
    @classmethod
    def _not_empty(cls, trajectory: Trajectory) -> Trajectory:
        if not any(message.text.strip() or message.tool_calls for message in trajectory.messages):
            raise ValueError("the trajectory is empty: no message says or calls anything")
        return trajectory

    @field_validator("steps")
    @classmethod
    def _in_order(cls, steps: tuple[StepLabel, ...]) -> tuple[StepLabel, ...]:
        places = [step.message for step in steps]
        if sorted(set(places)) != places:
            raise ValueError("the steps must stand in the order of their messages, each once")
        return steps

    @field_validator("task", "trajectory")
    @classmethod
    def _carried(cls, given: Task | Trajectory) -> Task | Trajectory:
        last = (given.last,) if isinstance(given, Task) and given.last else ()
        spoken = (*given.history, *last) if isinstance(given, Task) else given.messages
        _Carried(open_fields=[message.model_extra or {} for message in spoken])
        if isinstance(given, Task):
            _Carried(open_fields=given.metadata)
        return given

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.pair is None) != (self.preferred is None):
            raise ValueError("pair and preferred belong together: give both or neither")
        if self.steps and self.steps[-1].message >= len(self.trajectory.messages):
            raise ValueError(f"steps name message {self.steps[-1].message}, beyond the trajectory")
        if not self.labels:
            raise ValueError("the label is missing: give correct, score, critique, steps, or pair and preferred")
        return self

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the labels that are there."""
        given = {
            "correct": self.correct is not None,
            "score": self.score is not None,
            "critique": self.critique is not None,
            "steps": bool(self.steps),
            "preferred": self.preferred is not None,
        }
        return tuple(name for name, there in given.items() if there)

    @property
    def has_targets(self) -> bool:
        """Whether analysis, critique and score are all there, as a target for supervised training needs."""
        return None not in (self.analysis, self.critique, self.score)


def as_record(data: object, where: str) -> LabelledTrajectory:
    """A record from plain data.

    Args:
        data: what a file holds for it.
        where: file and row, for the message.

    Raises:
        InvalidInput: it is not a record; one line that names row and field.
    """
    try:
        return LabelledTrajectory.model_validate(data)
    except ValidationError as error:
        raise InvalidInput(f"{where}, {_first_problem(error)}") from None


def _first_problem(error: ValidationError) -> str:
    """The first thing that is wrong: field, what is needed, what stands there."""
    problem: Any = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in problem["loc"]) or "record"
    said = str(problem["msg"]).removeprefix("Value error, ")
    given = problem["input"]
    shown = "" if isinstance(given, dict | list | LabelledTrajectory) or problem["type"] == "missing" else given
    return f"{field}: {said[:1].lower()}{said[1:]}" + (f", not {shown!r:.60}" if shown != "" else "")
