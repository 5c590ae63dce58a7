"""Plan-RewardBench: pairs of trajectories for one request, with one preferred.

An item is one side of a pair; its label is True for `chosen`. Each side is judged by itself, so that neither position
nor comparison can help; a pair is right when `chosen` gets the higher score.

What the judge sees: the request, the tools on offer, and the side's own messages. What it does not see: which side it
is, the other side, the bucket and the uuid.

What is rewritten: the roles `tool_call` (a Python dict as text) and `tool_response` become calls and results in the
chat format. Each result takes its tool's name from its call: most rejected sides name the tool on the result and many
chosen ones do not (of three planning files at hand, 124 results of chosen sides and 21 of rejected ones lack it), which
would tell the label. White space around messages goes for the same reason.
"""

from __future__ import annotations

import ast
import json
from collections import Counter, deque
from pathlib import Path
from typing import Any

from reagent_benchmarks.judging.items import (
    JudgedItem,
    group_of,
    renumbered,
    tools_message,
    trajectory_of,
    with_unique_ids,
)
from reagent_benchmarks.judging.rows import Row, files_of, read_rows
from reagent_sdk.errors import InvalidInput
from reagent_sdk.messages import Message, ToolCall
from reagent_sdk.task import Task

PATTERN = "*.jsonl"
SIDES = (("chosen", True), ("reject", False))
_SPOKEN = ("system", "developer", "user", "assistant")
_MAX_CALL = 200_000


def load(folder: str | Path, *, left_out: Counter[str] | None = None) -> list[JudgedItem]:
    """The items of a folder, two for each pair.

    Args:
        folder: with JSONL files of pairs, or one such file.
        left_out: counts what is left out, by reason.

    Raises:
        InvalidInput: no files, or a malformed row.
    """
    counts = left_out if left_out is not None else Counter[str]()
    items: list[JudgedItem] = []
    for file in files_of(Path(folder), PATTERN, "plan_rewardbench"):
        copies = Counter[str]()
        for row in read_rows(file):
            uuid = row.get("uuid", str)
            copies[uuid] += 1
            sides = _pair(row, f"{file.stem}/{uuid}/{copies[uuid]}")
            if sides[0].trajectory.same_work(sides[1].trajectory):
                counts["pairs whose sides are the same"] += 1
            else:
                items += sides
    return with_unique_ids(items)


def _pair(row: Row, pair: str) -> list[JudgedItem]:
    tools, group = row.get("tools", list), group_of(row.get("query", str))
    sides = []
    for side, label in SIDES:
        given = row.get(side, dict).get("messages")
        if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
            raise row.wrong(f'"{side}" must hold a list "messages"')
        with row.located():
            messages = as_messages(given)
            asked = next((index for index, message in enumerate(messages) if message.role == "user"), None)
            if asked is None or asked + 1 == len(messages):
                raise InvalidInput(f'"{side}" must hold a request of the user and work after it')
            history = (*messages[:asked], *([tools_message(tools)] if tools else ()))
            task = Task(question=messages[asked].text, history=history)
        trajectory = trajectory_of(renumbered(messages[asked + 1 :]))
        sides.append(JudgedItem(f"{pair}/{side}", group, row.file.stem, task, trajectory, label, pair=pair))
    return sides


def as_messages(given: list[dict[str, Any]]) -> tuple[Message, ...]:
    """Messages in the chat format. Calls in a row, and the text right before them, are one message of the assistant.

    Raises:
        InvalidInput: a message without text, or with an unknown role.
    """
    messages: list[Message] = []
    waiting: deque[ToolCall] = deque()
    for index, one in enumerate(given):
        role, text = one.get("role"), one.get("content")
        if not isinstance(text, str):
            raise InvalidInput(f"message {index} has no text")
        if role == "tool_call":
            call = _call(text, f"call_{index}")
            waiting.append(call)
            before = messages.pop() if messages and messages[-1].role == "assistant" else None
            said, calls = (before.content, before.tool_calls or ()) if before else (None, ())
            messages.append(Message(role="assistant", content=said, tool_calls=(*calls, call)))
        elif role == "tool_response":
            called = waiting.popleft() if waiting else None
            of = {"tool_call_id": called.id, "name": called.name} if called else {}
            messages.append(Message(role="tool", content=text.strip(), **of))
        elif role in _SPOKEN:
            messages.append(Message(role="developer" if role == "system" else role, content=text.strip()))
        else:
            raise InvalidInput(f"message {index} has the unknown role {role!r}")
    return tuple(messages)


def _call(text: str, call_id: str) -> ToolCall:
    """A call from `{'name': ..., 'arguments': '...'}`; what cannot be read so is kept as it is."""
    read = _literal(text)
    if not isinstance(read, dict) or not isinstance(read.get("name"), str):
        return ToolCall.make("(unreadable call)", text, id=call_id)
    arguments = read.get("arguments", "")
    if not isinstance(arguments, str):
        arguments = json.dumps(arguments, ensure_ascii=False, default=str)
    return ToolCall.make(read["name"], arguments, id=call_id)


def _literal(text: str) -> object:
    for read in (json.loads, ast.literal_eval):  # neither runs anything
        try:
            return read(text[:_MAX_CALL])
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    return None
