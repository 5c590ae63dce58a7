"""Reading stored trajectories, one JSON object a line, in the shapes that `reagent score` accepts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import ValidationError

from reagent_sdk.errors import InvalidInput
from reagent_sdk.messages import Message, from_openai
from reagent_sdk.run import Run
from reagent_sdk.task import Task
from reagent_sdk.trajectory import Trajectory

SHAPES = (
    '{"question": ..., "messages": [...]}, {"messages": [...]}, {"question": ..., "answer": ...} '
    "or a run of the run log"
)


@dataclass(frozen=True)
class Record:
    """One stored trajectory."""

    id: str
    line: int
    task: Task
    trajectory: Trajectory


@dataclass(frozen=True)
class Row:
    """One stored trajectory as it stands in its file, with the id that it has there."""

    id: str
    line: int
    text: bytes


class Seen(Protocol):
    """The line of each id so far: a dict, or something like it that is not held in memory."""

    def __contains__(self, key: str, /) -> bool: ...

    def __getitem__(self, key: str, /) -> int: ...

    def __setitem__(self, key: str, line: int, /) -> None: ...


def read_records(lines: Iterable[bytes], source: str, seen: Seen | None = None) -> Iterator[Record | None]:
    """The records in order; None for a run that holds no attempt and so nothing to judge. Blank lines are passed over.

    Args:
        lines: the file, line by line.
        source: its name, for messages.
        seen: takes down the ids; a dict in memory by default.

    Raises:
        InvalidInput: a line is malformed or repeats an id; the message names file and line.
    """
    seen = {} if seen is None else seen
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            data = json_object(line)
            own_id = id_of(data)
            task_and_work = _read(data)
            key = own_id or _content_id(line, seen)
            if key in seen:
                raise InvalidInput(f"the id {key!r} is that of line {seen[key]} already; ids must differ")
        except InvalidInput as error:
            raise InvalidInput(f"{source}, line {number}: {error}") from None
        seen[key] = number
        yield None if task_and_work is None else Record(key, number, *task_and_work)


def read_row(row: Row, source: str) -> Record:
    """The record in a line whose id is known, from a check of the whole file before.

    Raises:
        InvalidInput: the line is not what it was then.
    """
    try:
        data = json_object(row.text)
        work, own_id = _read(data), id_of(data)
        same = row.id == own_id if own_id else row.id.startswith(_digest(row.text))
    except InvalidInput:
        work, same = None, False
    if work is None or not same:
        raise InvalidInput(f"{source}, line {row.line} was changed since the file was checked; run it again to go on")
    return Record(row.id, row.line, *work)


def json_object(line: bytes) -> dict[str, Any]:
    """The JSON object in a line.

    Raises:
        InvalidInput: it holds something else.
    """
    try:
        data = json.loads(line.decode())
    except UnicodeDecodeError:
        raise InvalidInput("not UTF-8 text") from None
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"not JSON ({error})") from None
    if not isinstance(data, dict):
        raise InvalidInput(f"a JSON object is needed, not {type(data).__name__}")
    return data


def id_of(data: dict[str, Any]) -> str | None:
    """The id that a row gives itself.

    Raises:
        InvalidInput: it is neither a text nor a whole number.
    """
    given = data.get("id")
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, str | int) or given == "":
        raise InvalidInput('"id" must be a text or a whole number')
    return str(given)


def _content_id(line: bytes, seen: Seen) -> str:
    """An id that stays the same when other lines come or go, so that a resumed run finds its place."""
    digest = _digest(line)
    key, copy = digest, 1
    while key in seen:
        copy += 1
        key = f"{digest}-{copy}"
    return key


def _digest(line: bytes) -> str:
    return hashlib.sha256(line.strip()).hexdigest()[:16]


def _read(data: dict[str, Any]) -> tuple[Task, Trajectory] | None:
    if "attempts" in data and "task" in data:
        return _of_run(data)
    question, messages, answer = data.get("question"), data.get("messages"), data.get("answer")
    if question is not None and not (isinstance(question, str) and question.strip()):
        raise InvalidInput('"question" must be a text that is not empty')
    if answer is not None and not isinstance(answer, str):
        raise InvalidInput('"answer" must be a text')
    if messages is not None:
        return _of_messages(question, messages, answer)
    if question is None or answer is None:
        raise InvalidInput(f"none of the known shapes: {SHAPES}")
    return Task.of(question), Trajectory(answer=answer)


def _of_run(data: dict[str, Any]) -> tuple[Task, Trajectory] | None:
    try:
        run = Run.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InvalidInput(f"not a run that this release reads ({where}: {first['msg']})") from None
    return None if run.best is None else (run.task, run.best.trajectory)


def _of_messages(question: str | None, given: object, answer: str | None) -> tuple[Task, Trajectory]:
    """Splits a conversation at its question: what comes after it is the work."""
    if not isinstance(given, list) or not given:
        raise InvalidInput('"messages" must be a list of chat messages that is not empty')
    messages = from_openai(given)
    at = _asked_at(messages, question)
    if question is None and at is None:
        raise InvalidInput('no message of role "user" asks anything, and there is no "question"')
    start = 0 if at is None else at + 1
    history = messages[: start - 1] if at is not None else ()
    asked = question if question is not None else messages[start - 1].text
    work = messages[start:]
    if not work and answer is not None:
        return Task(question=asked, history=history), Trajectory(answer=answer)
    return Task(question=asked, history=history), Trajectory.from_openai(work, answer=answer)


def _asked_at(messages: tuple[Message, ...], question: str | None) -> int | None:
    """Position of the user's message that asks the question: the first one, when no question is given."""
    for index, message in enumerate(messages):
        text = message.text.strip()
        if message.role == "user" and text and (question is None or text == question.strip()):
            return index
    return None
