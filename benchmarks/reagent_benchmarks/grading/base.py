"""What a grader says, and what it is called with."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Protocol, Self, runtime_checkable

from pydantic import Field, field_validator

from reagent_benchmarks.grading.final import final_answer
from reagent_sdk.frozen import Frozen

_LONGEST_WHY = 300


class Grade(Frozen):
    """What a grader says of one answer."""

    right: bool | None = Field(description="None: the grader itself failed, and nobody knows")
    value: float | None = Field(None, ge=0, le=1, description="partial credit such as F1: for reports, never a reward")
    why: str = Field(description="one line")

    @field_validator("why")
    @classmethod
    def _one_line(cls, why: str) -> str:
        line = " ".join(why.encode("utf-8", "replace").decode().split())
        return line if len(line) <= _LONGEST_WHY else f"{line[: _LONGEST_WHY - 3]}..."

    @classmethod
    def of(cls, right: bool, why: str, value: float | None = None) -> Self:
        """A right or a wrong answer."""
        return cls(right=right, why=why, value=value)

    @classmethod
    def failed(cls, why: str) -> Self:
        """The grader could not tell."""
        return cls(right=None, why=why)


@runtime_checkable
class Grader(Protocol):
    """Anything that tells whether an answer is right."""

    @property
    def name(self) -> str:
        """Which rule it is, for tables."""

    async def grade(
        self, answer: str, references: Sequence[str], *, question: str = "", cut_off: bool = False
    ) -> Grade:
        """Grades one answer.

        Args:
            answer: the agent's reply, with or without words around the answer proper.
            references: the right answers, any of which will do; "0" is one, a blank text is none.
            question: what was asked.
            cut_off: the reply was cut off by a limit; then only a marked and complete answer counts.
        """


class RuleGrader(ABC):
    """A grader that asks no model, and so has a synchronous `check` as well. Never raises, whatever the texts hold."""

    name: ClassVar[str]

    def check(self, answer: str, references: Sequence[str], *, question: str = "", cut_off: bool = False) -> Grade:
        """Grades one answer, as :meth:`Grader.grade` does."""
        golds = stated_references(references)
        if not golds:
            return Grade.failed("there is no reference answer")
        if not cut_off and answer.strip() in golds:
            return Grade.of(True, "the reply is the reference", 1.0)
        said = final_answer(answer, cut_off=cut_off)
        if not said:
            return Grade.of(False, "cut off before an answer" if cut_off else "the reply states no answer", 0.0)
        return self.compare(said, golds, question)

    @abstractmethod
    def compare(self, said: str, references: Sequence[str], question: str) -> Grade:
        """Compares what the reply states.

        Args:
            said: the answer proper, in one line, not empty.
            references: at least one, none of them blank.
            question: what was asked.
        """

    async def grade(
        self, answer: str, references: Sequence[str], *, question: str = "", cut_off: bool = False
    ) -> Grade:
        """The same as `check`."""
        return self.check(answer, references, question=question, cut_off=cut_off)


def stated_references(references: Sequence[str]) -> list[str]:
    """The references that say something, without white space around them."""
    return [text for text in (reference.strip() for reference in references) if text]
