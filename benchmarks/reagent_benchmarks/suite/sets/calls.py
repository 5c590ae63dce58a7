"""BFCL: which functions have to be called for a request, and with which arguments. Single requests, Python types."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from reagent_benchmarks.judging.rows import Row
from reagent_benchmarks.suite.base import Benchmark, BenchmarkItem
from reagent_benchmarks.suite.files import rows_of
from reagent_benchmarks.suite.items import column, item, text
from reagent_benchmarks.suite.wording import CALLS

_GOLD = "ground_truth"
_CATEGORIES = ("simple", "simple_python", "multiple", "parallel", "parallel_multiple", "irrelevance")
_LIVE = tuple(f"live_{kind}" for kind in _CATEGORIES)
"""Conversations, other languages and calls that have to be run need more than a comparison, and are passed over."""


def _parse(row: Row) -> BenchmarkItem:
    """A request with the functions on offer; the reference is a JSON list of calls, with all values that are right."""
    turns = row.get("question", list)
    if len(turns) != 1:
        raise row.wrong(f"it has {len(turns)} turns; only single requests can be loaded")
    *history, asked = row.chat(turns[0])
    offered = json.dumps(row.get("function", list), ensure_ascii=False)
    calls = column(row, _GOLD)
    if not isinstance(calls, list):
        raise row.wrong(f'"{_GOLD}" must be a list of calls, not {type(calls).__name__}')
    return item(
        row,
        f"{asked.text.strip()}\n\nFunctions:\n{offered}" if asked.text.strip() else "",
        (json.dumps(calls, ensure_ascii=False),),
        id=text(row, "id"),
        metadata={"type": _category(row.file)},
        history=tuple(history),
    )


def _joined(rows: Sequence[Row]) -> Sequence[Row]:
    """The rows with their reference calls, which lie in a file of their own; no call is right where none fits."""
    known: dict[Path, dict[str, object]] = {}
    joined = []
    for row in rows:
        if row.file.name.startswith("BFCL_v") and _category(row.file) not in _CATEGORIES + _LIVE:
            continue
        if _GOLD not in row.data and "irrelevance" not in row.file.name:
            if row.file not in known:
                known[row.file] = {text(one, "id"): column(one, _GOLD) for one in rows_of(_answers(row))}
            if text(row, "id") not in known[row.file]:
                raise row.wrong(f"{_answers(row).name} has no answer for the id {row.data['id']!r}")
        calls = row.data.get(_GOLD, known.get(row.file, {}).get(str(row.data.get("id")), []))
        joined.append(replace(row, data={**row.data, _GOLD: calls}))
    return joined


def _answers(row: Row) -> Path:
    places = (
        row.file.parent / "possible_answer" / row.file.name,
        row.file.with_name(f"{row.file.stem}.possible_answer{row.file.suffix}"),
    )
    for place in places:
        if place.is_file():
            return place
    raise row.wrong(f"its reference calls are missing: put them at {places[0].parent.name}/{places[0].name} beside it")


def _category(file: Path) -> str:
    return file.stem.split("_", 2)[-1] if file.stem.startswith("BFCL_v") else file.stem


BFCL = Benchmark(
    name="bfcl",
    title="BFCL",
    what="function calling as text: single requests, parallel calls, and requests that no function fits",
    size=None,
    hub_id="gorilla-llm/Berkeley-Function-Calling-Leaderboard",
    split="test",
    licence="Apache-2.0",
    home="https://gorilla.cs.berkeley.edu/leaderboard.html",
    columns={
        "id": "id",
        "question": "a list with one conversation, which ends with the request",
        "function": "the functions on offer",
        "ground_truth": "of the file in possible_answer/: the calls, each argument with all values that are right",
    },
    files=("BFCL_v*.json*",),
    folders=("bfcl", "bfcl_eval/data", "data"),
    grader="calls",
    tools=(),
    instructions=CALLS,
    steps=1,
    parse=_parse,
    prepare=_joined,
    repository=True,
)
