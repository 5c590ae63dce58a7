"""Whether a critique gives the answer away. Where the right answer is known, stricter than the guard of serving."""

from __future__ import annotations

import re
from collections.abc import Iterable

from reagent_sdk.leaks import leaked_answers, stated_answers
from reagent_sdk.task import Task
from reagent_sdk.trajectory import Trajectory

REFERENCE = "reference"
"""Key of a record's metadata: the right answers, a list of texts. No judge sees metadata."""

_TRIVIAL = frozenset({"yes", "no", "true", "false", "none"})
_SHORTEST = 2


def gives_away(critique: str, task: Task, trajectory: Trajectory, references: Iterable[str] = ()) -> tuple[str, ...]:
    """What a critique gives away; empty for a fair one.

    Two things count: an answer that it states and the work does not hold (`reagent_sdk.leaks`), and a right answer
    anywhere in it. Of right answers that any text holds by chance (yes, no, one digit, one letter) only a stated one
    counts.

    Args:
        critique: what the agent would read.
        task: what was asked.
        trajectory: the work.
        references: the right answers, where they are known.
    """
    return tuple(dict.fromkeys((*leaked_answers(critique, task, trajectory), *named_in(critique, references))))


def named_in(text: str, references: Iterable[str]) -> tuple[str, ...]:
    """The right answers that a text names, each once; of those that any text holds by chance only stated ones.

    Args:
        text: any text.
        references: the right answers.
    """
    whole, stated = f" {_plain(text)} ", {_plain(value) for value in stated_answers(text)}
    found: dict[str, None] = {}
    for reference in (part for listed in references for part in _parts(listed)):
        plain = _plain(reference)
        anywhere = len(plain) >= _SHORTEST and plain not in _TRIVIAL
        if plain and (plain in stated or (anywhere and f" {plain} " in whole)):
            found[reference] = None
    return tuple(found)


def _parts(reference: str) -> list[str]:
    """An answer, and where it lists several, each of them."""
    return list(dict.fromkeys([reference, *re.split(r"\n|;\s|,\s", reference)]))


def _plain(text: str) -> str:
    """Words and numbers alone, without case, marks and thousands' commas."""
    text = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text.casefold())
    return " ".join(re.findall(r"\d+(?:\.\d+)?|[^\W\d_]+", text))
