"""A question about a folder of tables: its words and its code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from reagent_training.synth.families.desk import Desk, Row


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked of a desk, or what somebody mistakes for it.

    Attributes:
        year: of the table.
        group: that rows are filtered by.
        attribute: that a join filters by.
        limit: that a count compares with.
        dropped: how many of the last rows are not copied into the code; 0 in sound work.
    """

    year: int
    group: str
    attribute: str
    limit: int
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class Form:
    """One form of a question.

    Attributes:
        name: the template.
        difficulty: steps that it needs.
        asks: wordings; `{value}` and the like name columns, `{g}`, `{a}`, `{year}`, `{before}`, `{limit}` values.
        code: the last lines of the code in two forms; `rows` and what `setup` names are there.
        joins: whether the second table is needed.
        compares: whether last year's table is needed too.
        answer: the right value, worked out from the rows themselves.
    """

    name: str
    difficulty: int
    asks: tuple[str, ...]
    code: tuple[str, str]
    answer: Callable[[Desk, Query], Fraction | str]
    joins: bool = False
    compares: bool = False

    def question(self, desk: Desk, query: Query, wording: int) -> str:
        """The question in one of its wordings."""
        return _filled(self.asks[wording % len(self.asks)], desk, query)

    def again(self, desk: Desk, query: Query, style: int) -> str:
        """Other code for the same, over the variables that are there."""
        return _filled(self.code[style % 2], desk, query)

    def program(self, desk: Desk, query: Query, style: int) -> str:
        """The code with the rows typed in."""
        lines = [_typed("rows", _kept(desk, query))]
        if self.compares:
            lines.append(_typed("before", desk.rows[query.year - 1]))
        if self.joins:
            pairs = ", ".join(f'"{key}": "{told}"' for key, told in desk.explained.items())
            lines.append(f"{desk.theme.attribute} = {{{pairs}}}")
        return "\n".join((*lines, self.again(desk, query, style)))


def _kept(desk: Desk, query: Query) -> Sequence[Row]:
    rows = desk.rows[query.year]
    return rows[: len(rows) - query.dropped]


def _typed(name: str, rows: Sequence[Row]) -> str:
    told = ", ".join(f'("{row.id}", "{row.group}", "{row.key}", {row.value})' for row in rows)
    return f"{name} = [{told}]"


def _filled(text: str, desk: Desk, query: Query) -> str:
    theme = desk.theme
    known: dict[str, Any] = {
        **{"entry": theme.entry, "group": theme.group, "key": theme.key, "value": theme.value},
        **{"attribute": theme.attribute, "g": query.group, "a": query.attribute, "limit": query.limit},
        **{"year": query.year, "before": query.year - 1, "stem": theme.stem},
    }
    for name, value in known.items():
        text = text.replace(f"{{{name}}}", str(value))
    return text
