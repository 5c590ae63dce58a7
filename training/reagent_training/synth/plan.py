"""What a trajectory will be before it is carried out: thoughts and calls, with a hole where a result goes.

A plan holds no tool result. It is carried out with the real tools, and what the last call printed fills the hole.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from pydantic import JsonValue

OUT = "\u27e8out\u27e9"
"""Stands for the last line of the most recent result of the python tool."""


class Role(StrEnum):
    """What a step is for."""

    GATHER = "gather"
    COMPUTE = "compute"
    CHECK = "check"
    EXTRA = "extra"


class Flaw(StrEnum):
    """What can be wrong with a trajectory."""

    NEEDLESS_CALL = "needless_call"
    """A call that brings nothing that is not known yet."""
    MISSING_CALL = "missing_call"
    """One needed call was left out, and its result was filled in from memory."""
    WRONG_ARGUMENT = "wrong_argument"
    """A call with an argument that does not fit the question."""
    INVENTED_FILE = "invented_file"
    """A file or page that does not exist."""
    IGNORED_RESULT = "ignored_result"
    """The answer contradicts what the tools returned."""
    UNVERIFIED_GUESS = "unverified_guess"
    """A wrong answer that nothing supports."""
    LUCKY_GUESS = "lucky_guess"
    """A right answer that nothing supports."""
    NEAR_MISS = "near_miss"
    """Sound work and a slip in the final answer."""
    MENDED = "mended"
    """A failed or wrong call that the agent noticed and mended."""


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call to make."""

    tool: str
    arguments: Mapping[str, JsonValue]

    def shown(self, limit: int = 60) -> str:
        """The call in a few words, for a critique: the tool and its main argument in one line."""
        first = next(iter(self.arguments.values()), "")
        text = " ".join(str(first[0] if isinstance(first, list) and first else first).split())
        text = re.sub(r"\[\(.*?\)\]", "[...]", text).replace("<", "").replace(">", "")
        return f"{self.tool}({text if len(text) <= limit else text[: limit - 3] + '...'})"


@dataclass(frozen=True, slots=True)
class Step:
    """A message with calls, and what the agent takes from their results.

    Attributes:
        thought: what it says before the calls.
        calls: made at the same time; none where a needed call was left out.
        role: what the step is for.
        purpose: what it finds, as a noun phrase without the finding.
        claim: the finding, as a sentence without its end; may hold `OUT`.
        via: words before the claim that name its source.
        flaw: what is wrong with it.
    """

    thought: str
    calls: tuple[Call, ...]
    role: Role
    purpose: str
    claim: str = ""
    via: str = ""
    flaw: Flaw | None = None

    @property
    def found(self) -> str:
        """What is said about the results in the next message."""
        text = f"{self.via} {self.claim}".strip()
        return f"{text[:1].upper()}{text[1:]}." if text else ""


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole trajectory to carry out.

    Attributes:
        steps: in order.
        closing: a sentence before the answer.
        answer: the final answer; may be or hold `OUT`.
        unit: what stands behind a number.
        span: the steps that bring the last finding, from the first to the one after the last.
        asserted: that finding as a sentence without its end; `OUT` stands for the value.
    """

    steps: tuple[Step, ...]
    closing: str
    answer: str
    unit: str
    span: tuple[int, int]
    asserted: str

    def insert(self, place: int, *steps: Step) -> Plan:
        """The plan with steps put in before the step at `place`."""
        return replace(self, steps=(*self.steps[:place], *steps, *self.steps[place:]))

    def put(self, place: int, step: Step) -> Plan:
        """The plan with one step replaced."""
        return replace(self, steps=(*self.steps[:place], step, *self.steps[place + 1 :]))

    def places(self, role: Role) -> list[int]:
        """Indices of the steps with a role."""
        return [place for place, step in enumerate(self.steps) if step.role is role]
