"""What parsers share: columns, gold answers and items, with complaints that name the row."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import Any

from pydantic import JsonValue, ValidationError

from reagent_benchmarks.judging.rows import Row
from reagent_benchmarks.suite.base import BenchmarkItem
from reagent_sdk.errors import InvalidInput
from reagent_sdk.frozen import first_problem
from reagent_sdk.task import Task


def question_key(question: str) -> str:
    """A short name of a question that does not depend on where it stands, nor on its spaces."""
    return hashlib.sha256(" ".join(question.split()).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def column(row: Row, *names: str) -> Any:
    """The value of the first of these columns that the row has.

    Raises:
        InvalidInput: it has none of them.
    """
    for name in names:
        if name in row.data:
            return row.data[name]
    wanted = " or ".join(f'"{name}"' for name in names)
    there = ", ".join(map(str, row.data)) or "none"
    raise row.wrong(f"there is no column {wanted}; there are {there}. Is this a file of this benchmark?")


def optional(row: Row, *names: str) -> Any:
    """The value of the first of these columns that holds something; None where none does."""
    return next((row.data[name] for name in names if row.data.get(name) not in (None, "", [], {})), None)


def text(row: Row, *names: str) -> str:
    """The text in the first of these columns, without spaces around it.

    Raises:
        InvalidInput: there is none of them, or it holds no text.
    """
    value = column(row, *names)
    told = _plain(value)
    if not told:
        raise row.wrong(f'"{_named(row, names)}" is empty or no text; give the question or answer that belongs there')
    return told


def gold(row: Row, *names: str) -> tuple[str, ...]:
    """The gold answers in the first of these columns: one, or a list of them. The number 0 is an answer.

    Raises:
        InvalidInput: there is none of them, or it holds no answer.
    """
    value = column(row, *names)
    listed = value if isinstance(value, list | tuple) else [value]
    found = tuple(dict.fromkeys(told for told in map(_plain, listed) if told))
    if not found:
        raise row.wrong(f'"{_named(row, names)}" holds no gold answer; take the split that has answers')
    return found


def yes_or_no(references: tuple[str, ...]) -> str | None:
    """The grader of a question whose answer is yes or no; None for all others."""
    return "yes_no" if {reference.lower().rstrip(".") for reference in references} <= {"yes", "no"} else None


def item(
    row: Row,
    question: str,
    references: tuple[str, ...],
    *,
    id: object = None,
    metadata: Mapping[str, JsonValue] | None = None,
    **more: Any,
) -> BenchmarkItem:
    """An item out of a row.

    Args:
        row: where it comes from.
        question: what is asked.
        references: its gold answers.
        id: as in the set; by default a key of the question.
        metadata: what is known of it; fields without a value are dropped.
        **more: `grader`, `left_out` and `group` of the item; all others belong to its task.

    Raises:
        InvalidInput: something does not fit.
    """
    key = question_key(question)
    own = {name: more.pop(name) for name in ("grader", "left_out", "group") if name in more}
    name = key if id is None or id == "" else str(id)
    facts = {fact: value for fact, value in (metadata or {}).items() if value not in (None, "", [], {})}
    try:
        task = Task(question=question, id=name, **more)
        made = {"id": name, "task": task, "references": references, "group": key, "metadata": facts}
        return BenchmarkItem.model_validate({**made, **own})
    except ValidationError as error:
        raise row.wrong(first_problem(error)) from None
    except InvalidInput as error:
        raise row.wrong(str(error)) from None


def _named(row: Row, names: tuple[str, ...]) -> str:
    return next(name for name in names if name in row.data)


def _plain(value: object) -> str:
    """A value as a text: numbers as people write them, and nothing for what is no answer."""
    if isinstance(value, bool) or value is None:
        return ""
    if isinstance(value, float):
        if not math.isfinite(value):
            return ""
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return str(value).strip() if isinstance(value, str | int) else ""
