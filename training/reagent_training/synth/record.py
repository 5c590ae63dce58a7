"""A generated task: what is asked, what is right, and which tools and files belong to it."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field

from reagent_sdk.frozen import Frozen
from reagent_sdk.task import Task


class Split(StrEnum):
    """Which half of the templates, names and themes is used. The halves share none of them."""

    TRAIN = "train"
    TEST = "test"


class GradingRule(Frozen):
    """How an answer is compared with the right one.

    Attributes:
        kind: "number" compares values, "text" compares words.
        tolerance: largest difference of two numbers that counts as equal, absolute; 0 asks for the exact value.
        aliases: further texts that are right.
    """

    kind: Literal["number", "text"]
    tolerance: float = Field(0.0, ge=0)
    aliases: tuple[str, ...] = ()


class SynthTask(Frozen):
    """A task that can be rolled out again: a question, its answer, its tools and where their data lie.

    Attributes:
        id: unique in a set; also the group of its trajectories.
        family: the kind of task, such as "words".
        template: the form of the question; tasks of two splits share no template.
        split: which half of templates and names it was made of.
        difficulty: steps that the question needs, 1 to 3.
        question: what the agent is asked.
        answer: what is right; a fraction such as "7/12" where no decimal is exact.
        rule: how an answer is compared with it.
        tools: names of the tools that it needs.
        folder: the folder for file_reader, relative to the set's folder; None for tasks without files.
        files: the files in it.
        corpus: the corpus for search and browse, relative to the set's folder; None for tasks without one.
    """

    id: str
    family: str
    template: str
    split: Split
    difficulty: int = Field(ge=1, le=3)
    question: str
    answer: str
    rule: GradingRule
    tools: tuple[str, ...]
    folder: str | None = None
    files: tuple[str, ...] = ()
    corpus: str | None = None

    def as_task(self) -> Task:
        """The task as agents and judges see it, without the answer."""
        metadata = {"family": self.family, "template": self.template, "difficulty": self.difficulty}
        attached = tuple(f"{self.folder}/{name}" for name in self.files)
        return Task(question=self.question, id=self.id, attachments=attached, metadata=metadata)
