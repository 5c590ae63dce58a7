"""Function calls as BFCL compares them, on its own reference calls and on replies that try to pass."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reagent_benchmarks.grading.calls import CallsGrader
from reagent_benchmarks.suite.load import load

AREA = '[{"geometry.area": {"base": [10], "height": [5, 5.5], "unit": ["square cm", ""]}}]'
TWO = '[{"book": {"to": ["Rome"]}}, {"book": {"to": ["Oslo"]}}]'
DEEP = '[{"plan": {"stops": [[{"city": ["Rome"], "days": [2, ""]}]], "tags": [["a b", "c"]], "fast": [true]}}]'


def right(reply: str, reference: str) -> bool | None:
    return CallsGrader().check(reply, [reference]).right


def reply(*calls: Any) -> str:
    return json.dumps([{"name": name, "arguments": arguments} for name, arguments in calls])


@pytest.mark.parametrize(
    ("said", "reference", "verdict"),
    [
        (reply(("geometry.area", {"base": 10, "height": 5})), AREA, True),
        (reply(("geometry_area", {"base": 10.0, "height": 5.5, "unit": "Square-CM"})), AREA, True),
        (reply(("geometry.area", {"base": 10})), AREA, False),
        (reply(("geometry.area", {"base": 10, "height": 6})), AREA, False),
        (reply(("geometry.area", {"base": "10", "height": 5})), AREA, False),
        (reply(("geometry.area", {"base": 10, "height": 5, "depth": 1})), AREA, False),
        (
            reply(("geometry.area", {"base": 10, "height": 5}), ("geometry.area", {"base": 10, "height": 5})),
            AREA,
            False,
        ),
        (reply(("area", {"base": 10, "height": 5})), AREA, False),
        ('[{"geometry.area": {"base": 10, "height": 5}}]', AREA, True),
        ('{"name": "geometry.area", "arguments": {"base": 10, "height": 5}}', AREA, True),
        (AREA, AREA, False),  # the reference itself lists values; it is no call
        (reply(("book", {"to": "Oslo"}), ("book", {"to": "Rome"})), TWO, True),
        (reply(("book", {"to": "Oslo"}), ("book", {"to": "Oslo"})), TWO, False),
        (reply(("plan", {"stops": [{"city": "Rome"}], "tags": ["A B", "c"], "fast": True})), DEEP, True),
        (reply(("plan", {"stops": [{"city": "Rome"}], "tags": ["c", "a b"], "fast": True})), DEEP, False),
        (reply(("plan", {"stops": [{"days": 2}], "tags": ["a b", "c"], "fast": True})), DEEP, False),
        (reply(("plan", {"stops": [{"city": "Rome"}], "tags": ["a b", "c"], "fast": 1})), DEEP, False),
        ("None of them fits: []", "[]", True),
        ("None of them fits.", "[]", False),
        (reply(("f", {})), "[]", False),
        ("[1]", TWO, False),
        ("[]", "not JSON", None),
    ],
)
def test_calls_are_right_or_wrong(said: str, reference: str, verdict: bool | None) -> None:
    assert right(said, reference) is verdict


def test_the_list_at_the_end_counts() -> None:
    good = json.dumps(json.loads(reply(("book", {"to": "Rome"}), ("book", {"to": "Oslo"}))), indent=2)
    assert right(f"<think>[] or [1]?</think>I take [both] of them.\n```json\n{good}\n```\n", TWO)
    assert not right(f"{good}\nOr rather: []", TWO)
    assert not right(good[:-1], TWO)
    assert not right("[" * 5000, TWO)
    assert CallsGrader().check("[]", [TWO]).why == "calls nothing, not as the reference does"


def test_real_references_accept_what_they_say_and_nothing_of_another_question(shared_data: Path) -> None:
    items = [item for item in load("bfcl", data=shared_data) if item.metadata["type"] != "irrelevance"]
    replies = []
    for item in items:
        (call,) = json.loads(item.references[0])
        ((name, allowed),) = call.items()
        replies.append(reply((name, {key: _first(values) for key, values in allowed.items() if "" not in values})))
    assert all(right(said, item.references[0]) for said, item in zip(replies, items, strict=True))
    shifted = [right(said, item.references[0]) for said, item in zip(replies[1:], items, strict=False)]
    assert sum(bool(one) for one in shifted) == 0
    assert not any(right("[]", item.references[0]) for item in items)


def _first(values: list[Any]) -> Any:
    """The first allowed value, with one of its own where it is an object that lists values."""
    value = values[0]
    if isinstance(value, dict):
        return {key: _first(inner) for key, inner in value.items() if "" not in inner}
    if isinstance(value, list):
        return [_first([one]) if isinstance(one, dict) else one for one in value]
    return value


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)


@given(JSON, JSON)
def test_no_reply_and_no_reference_raises(said: Any, reference: Any) -> None:
    grade = CallsGrader().check(json.dumps(said), [json.dumps(reference)])
    assert (grade.right is None) == (not isinstance(reference, list | dict))
