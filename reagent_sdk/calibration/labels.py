"""Reading labelled work: records as `reagent score` takes them, or rows that carry their score, with labels."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reagent_sdk.errors import InvalidInput
from reagent_sdk.records import Record, id_of, json_object, read_records
from reagent_sdk.verdict import Verdict, VerdictStatus

SHAPES = (
    'a record of `reagent score` (a run of the run log, too) or {"id": ..., "score": ...}, with "label" and, if there '
    'are, "group" and "revised_label"'
)
_OURS = frozenset({"label", "group", "revised_label"})
_WORK = frozenset({"messages", "answer", "attempts"})


@dataclass(frozen=True)
class Label:
    """What is known of one piece of work.

    Attributes:
        right: whether it is right.
        group: the question it belongs to; None for the question's own text.
        revised: whether the same task was right after a revision; None where nobody knows.
    """

    right: bool
    group: str | None = None
    revised: bool | None = None


@dataclass(frozen=True)
class Labelled:
    """One piece of work with its label.

    Attributes:
        id: of the record, the run or the row.
        line: number of its line, from 1.
        label: whether it is right.
        group: the question it belongs to.
        revised: whether the same task was right after a revision; None where nobody knows.
        record: the work; None for a row that holds a score and no work.
        verdict: what a judge said of it already; None where it is to be judged.
        scored_row: the row carries its score, or null for a judge that gave none, and is not judged again.
    """

    id: str
    line: int
    label: bool
    group: str
    revised: bool | None = None
    record: Record | None = None
    verdict: Verdict | None = None
    scored_row: bool = False


@dataclass(frozen=True)
class LabelledWork:
    """What a file of labelled work holds.

    Attributes:
        rows: the labelled work, in the order of the file.
        lines: the file's lines as the reader of records takes them.
        unlabelled: ids of work without a label.
        unmatched: ids of labels without work.
        empty_runs: how many runs hold no attempt.
    """

    rows: tuple[Labelled, ...]
    lines: tuple[bytes, ...] = ()
    unlabelled: tuple[str, ...] = ()
    unmatched: tuple[str, ...] = ()
    empty_runs: int = 0


def read_labels(path: Path) -> dict[str, Label]:
    """A file of labels, one `{"id": ..., "label": ...}` a line, by id.

    Raises:
        InvalidInput: it cannot be read, or a line is malformed or repeats an id; the message names file and line.
    """
    found: dict[str, Label] = {}
    for number, data in _objects(_lines(path), path):
        with _located(path, number):
            key, label = id_of(data), _label(data)
            if key is None or label is None:
                raise InvalidInput('a label is {"id": ..., "label": true or false}')
            if key in found:
                raise InvalidInput(f"the id {key!r} has a label already; ids must differ")
        found[key] = label
    return found


def read_labelled(path: Path, labels: Mapping[str, Label] | None = None) -> LabelledWork:
    """Reads labelled work.

    Args:
        path: one JSON object a line, in one of `SHAPES`.
        labels: labels by id, beside those in the file.

    Raises:
        InvalidInput: the file cannot be read, a line is malformed, or its label is not that in `labels`; the message
            names file and line.
    """
    labels, lines = labels or {}, _lines(path)
    given = dict(_objects(lines, path))
    plain = tuple(_record_line(line, given.get(number)) for number, line in enumerate(lines, start=1))
    records = list(read_records(plain, str(path)))
    record_at = {one.line: one for one in records if one is not None}
    rows: list[Labelled] = []
    unlabelled: list[str] = []
    seen: dict[str, int] = {}
    for number, data in given.items():
        if number not in record_at and "score" not in data:
            continue  # a run without an attempt
        with _located(path, number):
            row = _row(number, data, record_at.get(number), labels)
            key = row if isinstance(row, str) else row.id
            if key in seen:
                raise InvalidInput(f"the id {key!r} is that of line {seen[key]} already; ids must differ")
        seen[key] = number
        if isinstance(row, str):
            unlabelled.append(row)
        else:
            rows.append(row)
    unmatched = tuple(key for key in labels if key not in seen)
    empty_runs = sum(one is None for one in records)
    return LabelledWork(tuple(rows), plain, tuple(unlabelled), unmatched, empty_runs)


def data_sha256(rows: Iterable[tuple[str, float, bool]]) -> str:
    """A digest of ids, scores and labels, whatever their order."""
    lines = sorted(json.dumps([key, float(score), bool(label)]) for key, score, label in rows)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


@contextmanager
def _located(path: Path, number: int) -> Iterator[None]:
    """Tells in which line it was that something is wrong."""
    try:
        yield
    except InvalidInput as error:
        raise InvalidInput(f"{path}, line {number}: {error}") from None


def _record_line(line: bytes, data: dict[str, Any] | None) -> bytes:
    """The line as the reader of records takes it: blank where it holds no work, a run without what we add to it."""
    if data is None or ("score" in data and not _WORK & data.keys()):
        return b"\n"
    if _is_run(data) and _OURS & data.keys():
        return json.dumps({name: value for name, value in data.items() if name not in _OURS}).encode()
    return line


def _is_run(data: dict[str, Any]) -> bool:
    return "attempts" in data and "task" in data


def _row(number: int, data: dict[str, Any], record: Record | None, labels: Mapping[str, Label]) -> Labelled | str:
    """One piece of work with its label; only its id where it has none."""
    key = record.id if record else id_of(data)
    if key is None:
        raise InvalidInput('a row that holds a "score" and no work needs an "id"')
    here, there = _label(data), labels.get(key)
    if here and there and here.right is not there.right:
        raise InvalidInput(f"the label of {key!r} is not that in the file of labels")
    label = there or here
    if label is None:
        return key
    given = [one.group for one in (there, here) if one and one.group is not None]
    group = given[0] if given else record.task.question if record else key
    verdict = _verdict_of_run(data) if _is_run(data) else _verdict_of_row(data) if "score" in data else None
    return Labelled(key, number, label.right, group, label.revised, record, verdict, "score" in data)


def _verdict_of_run(data: dict[str, Any]) -> Verdict | None:
    verdict = data["attempts"][data["chosen"]].get("verdict")
    return None if verdict is None else Verdict.model_validate(verdict)


def _verdict_of_row(data: dict[str, Any]) -> Verdict:
    score, about = data["score"], {name: data.get(name) or "" for name in ("judge", "prompt_version")}
    if not all(isinstance(text, str) for text in about.values()):
        raise InvalidInput('"judge" and "prompt_version" must be texts')
    if score is None:
        return Verdict.failed(VerdictStatus.UNAVAILABLE, "the row has no score").model_copy(update=about)
    if isinstance(score, bool) or not isinstance(score, int | float) or not 0 <= score <= 1:
        raise InvalidInput(f'"score" must be a number in [0, 1], or null, not {score!r:.40}')
    return Verdict.of(float(score)).model_copy(update=about)


def _lines(path: Path) -> list[bytes]:
    try:
        with path.expanduser().open("rb") as file:
            return file.readlines()
    except OSError as error:
        raise InvalidInput(f"cannot read {path}: {error.strerror}") from error


def _objects(lines: Iterable[bytes], path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The JSON objects of a file with their lines' numbers, from 1; blank lines are passed over."""
    for number, line in enumerate(lines, start=1):
        if line.strip():
            with _located(path, number):
                data = json_object(line)
            yield number, data


def _label(data: dict[str, Any]) -> Label | None:
    right, revised, group = _truth(data, "label"), _truth(data, "revised_label"), data.get("group")
    if group is not None and (isinstance(group, bool) or not isinstance(group, str | int)):
        raise InvalidInput('"group" must be a text or a whole number')
    return None if right is None else Label(right, None if group is None else str(group), revised)


def _truth(data: dict[str, Any], name: str) -> bool | None:
    given = data.get(name)
    if given is None:
        return None
    if isinstance(given, bool) or (isinstance(given, int) and given in (0, 1)):
        return bool(given)
    raise InvalidInput(f'"{name}" must be true or 1 for right, false or 0 for wrong, not {given!r:.40}')
