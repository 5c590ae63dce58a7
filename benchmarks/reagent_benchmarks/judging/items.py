"""What a judge is measured on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from reagent_sdk.errors import InvalidInput
from reagent_sdk.messages import Message
from reagent_sdk.task import Task
from reagent_sdk.trajectory import Trajectory

NO_ANSWER = "(no final answer: the work does not end with one)"


@dataclass(frozen=True)
class JudgedItem:
    """One labelled trajectory. The judge is given `task` and `trajectory` and nothing else.

    Attributes:
        id: unique within the data set; may name the label, and is never shown to the judge.
        group: the question. Several items of one question are not independent: they are drawn, resampled and
            cross-fitted together.
        part: which part of the data set it belongs to, for a breakdown.
        label: right or wrong; of a pair, True is the better side.
        pair: which pair it belongs to; None where the data set has no pairs.
        steps: index in `trajectory.messages` -> 1 good, 0 neutral, -1 wrong; empty where steps have no labels.
    """

    id: str
    group: str
    part: str
    task: Task
    trajectory: Trajectory
    label: bool
    pair: str | None = None
    steps: Mapping[int, int] = field(default_factory=dict)


def trajectory_of(messages: Iterable[Message]) -> Trajectory:
    """The work of a chat; its answer is the last message, when that is text of the assistant."""
    work = tuple(messages)
    last = work[-1] if work else None
    said = last.text if last is not None and last.role == "assistant" and not last.tool_calls else ""
    return Trajectory(messages=work, answer=said if said.strip() else NO_ANSWER)


def renumbered(messages: Iterable[Message]) -> tuple[Message, ...]:
    """The messages with calls numbered in order; ids as served tell which server, and so which agent, it was."""
    names: dict[str, str] = {}
    out, count = [], 0
    for message in messages:
        calls = []
        for call in message.tool_calls or ():
            count += 1
            names[call.id] = f"call_{count}"
            calls.append(call.model_copy(update={"id": names[call.id]}))
        if calls:
            message = message.model_copy(update={"tool_calls": tuple(calls)})
        if message.tool_call_id is not None:
            message = message.model_copy(update={"tool_call_id": names.get(message.tool_call_id, "?")})
        out.append(message)
    return tuple(out)


def tools_message(tools: Iterable[Mapping[str, Any]]) -> Message:
    """The tools that the agent was offered, one a line: `name(required: type, optional?: type): description`.

    Role "developer", because a judge's record leaves out system messages. The descriptions of parameters are left out:
    with them the tools would often be longer than the work.
    """
    lines = [_tool_line(tool.get("function", tool)) for tool in tools]
    return Message(role="developer", content="\n".join(["Tools on offer:", *lines]))


def _tool_line(tool: Mapping[str, Any]) -> str:
    parameters = tool.get("parameters") or {}
    required = parameters.get("required") or ()
    inside = ", ".join(
        f"{name}{'' if name in required else '?'}: {about.get('type', 'any') if isinstance(about, dict) else 'any'}"
        for name, about in (parameters.get("properties") or {}).items()
    )
    return f"- {tool.get('name', '?')}({inside}): {' '.join(str(tool.get('description', '')).split())}"


def group_of(question: str) -> str:
    """A short name for a question, the same in every file and release."""
    return hashlib.sha256(" ".join(question.split()).encode()).hexdigest()[:12]


def with_unique_ids(items: list[JudgedItem]) -> list[JudgedItem]:
    """The items as they are.

    Raises:
        InvalidInput: two have the same id, as when a file lies in the folder twice.
    """
    seen: set[str] = set()
    for item in items:
        if item.id in seen:
            raise InvalidInput(f"two rows are the item {item.id!r}; is a file in the folder twice, under two names?")
        seen.add(item.id)
    return items
