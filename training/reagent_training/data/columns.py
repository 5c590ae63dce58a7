"""A record as one flat row of columns, for Parquet and `datasets`, and back without loss.

What people read and train on has a column of its own type. What the chat format leaves open (tool calls, content parts,
unknown keys, which keys were never set) travels as JSON text beside it, so that every message comes back as it was.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from reagent_training.data.record import LabelledTrajectory

if TYPE_CHECKING:
    import pyarrow as pa  # type: ignore[import-untyped]

_PLAIN = (
    "schema_version",
    "id",
    "group",
    "source",
    "label_source",
    "correct",
    "score",
    "critique",
    "analysis",
    "steps",
    "pair",
    "preferred",
    "prompt_version",
    "licence",
)
_TEXTS = ("role", "content", "tool_call_id", "name")
"""Keys of a message that have a column; any other value of theirs than a text goes to `more`."""


def arrow_schema() -> pa.Schema:
    """The columns and their types. `task`, `work`, `metadata`, `tool_calls` and `more` hold JSON text."""
    import pyarrow as pa

    message = pa.struct([pa.field(name, pa.string()) for name in (*_TEXTS, "tool_calls", "more")])
    step = pa.struct([("message", pa.int32()), ("label", pa.int8()), ("reason", pa.string())])
    return pa.schema(
        [
            ("schema_version", pa.int32()),
            *((name, pa.string()) for name in ("id", "group", "source", "label_source", "question")),
            ("history", pa.list_(message)),
            ("messages", pa.list_(message)),
            ("answer", pa.string()),
            ("correct", pa.bool_()),
            ("score", pa.float64()),
            ("critique", pa.string()),
            ("analysis", pa.string()),
            ("steps", pa.list_(step)),
            ("pair", pa.string()),
            ("preferred", pa.bool_()),
            *((name, pa.string()) for name in ("prompt_version", "licence", "task", "work", "metadata")),
        ]
    )


def to_row(record: LabelledTrajectory) -> dict[str, Any]:
    """The record as one row.

    Raises:
        ValueError: it holds something that JSON cannot carry, such as NaN.
    """
    data = record.model_dump(mode="json")
    task, work = data["task"], data["trajectory"]
    return {
        **{name: data[name] for name in _PLAIN},
        "question": task.pop("question"),
        "history": [_message_row(message) for message in task.pop("history")],
        "messages": [_message_row(message) for message in work.pop("messages")],
        "answer": work.pop("answer"),
        "task": _json(task),
        "work": _json(work),
        "metadata": _json(data["metadata"]),
    }


def from_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """The data of a record from its row; to be checked by `as_record`.

    Raises:
        KeyError: a column is missing.
        TypeError: a column holds something of another type.
        ValueError: a column that holds JSON text holds something else.
    """
    history, messages = (tuple(map(_message, row[name])) for name in ("history", "messages"))
    return {
        **{name: row[name] for name in _PLAIN},
        "task": {"question": row["question"], "history": history, **json.loads(row["task"])},
        "trajectory": {"messages": messages, "answer": row["answer"], **json.loads(row["work"])},
        "metadata": json.loads(row["metadata"]),
    }


def _message_row(message: dict[str, Any]) -> dict[str, Any]:
    texts = {name: message[name] for name in _TEXTS if isinstance(message.get(name), str)}
    calls = message.get("tool_calls")
    more = {name: value for name, value in message.items() if name not in texts}
    if calls is not None:
        more.pop("tool_calls")
    return {
        **{name: texts.get(name) for name in _TEXTS},
        "tool_calls": None if calls is None else _json(calls),
        "more": _json(more) if more else None,
    }


def _message(row: Mapping[str, Any]) -> dict[str, Any]:
    message = {name: row[name] for name in _TEXTS if row[name] is not None}
    if row["tool_calls"] is not None:
        message["tool_calls"] = json.loads(row["tool_calls"])
    return message | (json.loads(row["more"]) if row["more"] is not None else {})


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
