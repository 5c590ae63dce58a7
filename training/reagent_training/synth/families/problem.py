"""A word problem as data: its wordings, the lines of its computation, and the slips that people make in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from random import Random
from typing import TypeAlias

from reagent_training.synth.names import Lexicon


@dataclass(frozen=True, slots=True)
class Line:
    """One line of code: a name, its value as an expression, and what it is in words."""

    name: str
    expr: str
    says: str = ""


@dataclass(frozen=True, slots=True)
class Mistake:
    """A line that somebody gets wrong.

    Attributes:
        line: name of the line.
        expr: the wrong expression.
        did: what it does, as a clause with a verb.
        should: what the question says, as a sentence without its end.
        advice: what to do, as an imperative.
    """

    line: str
    expr: str
    did: str
    should: str
    advice: str


@dataclass(frozen=True, slots=True)
class Problem:
    """A word problem.

    Attributes:
        template: its form.
        questions: wordings of one and the same question.
        lines: the computation; the last line is what was asked for.
        answer: worked out apart from the lines, so that one proves the other.
        what: what was asked for, as a noun phrase.
        unit: its unit.
        mistakes: slips, of which each changes the outcome.
        exact: whether it is asked for as a fraction; else it is rounded to two decimals.
    """

    template: str
    questions: tuple[str, ...]
    lines: tuple[Line, ...]
    answer: Fraction
    what: str
    unit: str
    mistakes: tuple[Mistake, ...]
    exact: bool = False


Template: TypeAlias = Callable[[Random, Lexicon], Problem]
