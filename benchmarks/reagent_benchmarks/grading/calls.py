"""Function calls: the right functions with the right arguments, as BFCL compares them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from reagent_benchmarks.grading.base import Grade, RuleGrader, stated_references

_LONGEST = 20_000
_STARTS = 200
_THOUGHT = re.compile(r"^.*</think(?:ing)?>", re.DOTALL | re.IGNORECASE)
_LOOSE = re.compile(r"[ ,./\-_*^]")


class CallsGrader(RuleGrader):
    """Right: exactly the calls of the reference, in any order, with arguments that it allows.

    A reference is a JSON list of `{"function": {"argument": [all values that are right]}}`; an argument may be left out
    where "" is among its values. "[]" asks for no call at all. The reply ends with a JSON list of
    `{"name": ..., "arguments": {...}}`; texts are compared without case, spaces and marks, numbers by value.
    """

    name = "calls"

    def check(self, answer: str, references: Sequence[str], *, question: str = "", cut_off: bool = False) -> Grade:
        """Grades one answer."""
        golds = [calls for reference in stated_references(references) if (calls := _read(reference)) is not None]
        if not golds:
            return Grade.failed("there is no reference that is a JSON list of calls")
        told = _stated(answer)
        if told is None:
            return Grade.of(False, "the reply does not end with a JSON list of calls", 0.0)
        return Grade.of(right := any(_same_calls(told, gold) for gold in golds), _why(told, right))

    def compare(self, said: str, references: Sequence[str], question: str) -> Grade:
        """The same as `check`, of what the reply states."""
        return self.check(said, references, question=question)


def _why(told: list[Any], right: bool) -> str:
    names = ", ".join(str(call[0]) if (call := _call(one)) else "something else" for one in told) or "nothing"
    return f"calls {names}{'' if right else ', not as the reference does'}"


def _read(text: str) -> list[Any] | None:
    try:
        read = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return [read] if isinstance(read, dict) else read if isinstance(read, list) else None


def _stated(reply: str) -> list[Any] | None:
    """The JSON list or object that a reply ends with, whatever words and fences are around it."""
    text = _THOUGHT.sub("", reply[-_LONGEST:]).rstrip("` \t\r\n")
    for start in [found.start() for found in re.finditer(r"[\[{]", text)][:_STARTS]:
        if (read := _read(text[start:])) is not None:
            return read
    return None


def _same_calls(told: Sequence[Any], gold: Sequence[Any]) -> bool:
    """Whether each call has a partner of its own in the reference."""
    if len(told) != len(gold):
        return False
    if not told:
        return True
    head = _call(told[0])
    return head is not None and any(
        _same_call(head, one) and _same_calls(told[1:], [*gold[:place], *gold[place + 1 :]])
        for place, one in enumerate(gold)
    )


def _call(one: object) -> tuple[str, dict[str, Any]] | None:
    """Name and arguments of a stated call, in our form or in BFCL's."""
    if not isinstance(one, dict):
        return None
    name, arguments = one.get("name"), one.get("arguments", {})
    if not isinstance(name, str) and len(one) == 1:
        name, arguments = next(iter(one.items()))
    return (name, arguments) if isinstance(name, str) and isinstance(arguments, dict) else None


def _same_call(call: tuple[str, dict[str, Any]], gold: object) -> bool:
    if not isinstance(gold, dict) or len(gold) != 1:
        return False
    name, allowed = next(iter(gold.items()))
    return call[0].replace(".", "_") == str(name).replace(".", "_") and _same_object(call[1], allowed)


def _same_object(given: dict[str, Any], allowed: object) -> bool:
    """Whether all values are among those that are allowed, and only what may be left out is left out."""
    if not isinstance(allowed, dict) or not set(given) <= set(allowed):
        return False
    return all(
        any(_same(given[name], value) for value in values) if name in given else "" in values
        for name, values in (
            (name, values if isinstance(values, list) else [values]) for name, values in allowed.items()
        )
    )


def _same(given: object, value: object) -> bool:
    if isinstance(value, dict):
        return isinstance(given, dict) and _same_object(given, value)
    if isinstance(value, list):
        return isinstance(given, list) and len(given) == len(value) and all(map(_same, given, value))
    if isinstance(value, str):
        return isinstance(given, str) and _loose(given) == _loose(value)
    if isinstance(value, bool) or isinstance(given, bool) or value is None:
        return given is value
    return isinstance(given, int | float) and given == value


def _loose(text: str) -> str:
    return _LOOSE.sub("", text).lower().replace("'", '"')
