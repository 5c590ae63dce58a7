"""How tool calls travel: natively in the chat format, or as `<tool_call>` text for models without a tool template.

A conversation is always kept in the chat format, calls and results under their ids. `TextWire` translates it for each
request, and the reply back.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol, TypeAlias
from uuid import uuid4

from reagent_sdk.clients.base import Sampling
from reagent_sdk.framing import defuse
from reagent_sdk.messages import Message, ToolCall, assistant, system, user
from reagent_sdk.tools.base import Tool

INVALID_CALL = "invalid_tool_call"
"""Name given to a text call that cannot be read; running it tells the model why."""

WORDS = "root ::= [^<]{1,4000}"
"""Grammar of an answer in words: no tool call can be written under it."""

_BLOCK = re.compile(r"<tool_call>(.*?)(?:</tool_call>|\Z)", re.DOTALL)


ToolChoice: TypeAlias = Literal["auto", "required", "none"]


class Wire(Protocol):
    """Translates a conversation with tools to what a model takes, and its reply back."""

    def request(
        self, messages: Sequence[Message], tools: Sequence[Tool], sampling: Sampling, *, choice: ToolChoice = "auto"
    ) -> tuple[list[Message], Sampling]:
        """What to send: the model may call a tool ("auto"), has to ("required"), or must answer in words ("none")."""

    def reply(self, message: Message) -> Message:
        """The reply in the chat format; every tool call has an id of its own."""


class NativeWire:
    """Tool calls in the chat format itself. Text calls in a reply are read as well: some servers do not parse them."""

    def request(
        self, messages: Sequence[Message], tools: Sequence[Tool], sampling: Sampling, *, choice: ToolChoice = "auto"
    ) -> tuple[list[Message], Sampling]:
        """Sends the tools' schemas along."""
        fields: dict[str, Any] = {}
        if tools:  # also when none may be called: providers insist on the schemas of the calls in the history
            fields = {"tools": [_schema(tool) for tool in tools], "tool_choice": choice}
        return list(messages), sampling.model_copy(update={"extra": {**sampling.extra, **fields}})

    def reply(self, message: Message) -> Message:
        """The reply itself, with the ids that its calls lack."""
        return _with_ids(message if message.tool_calls else _read_text_calls(message))


class TextWire:
    """Tool calls as `<tool_call>{"name": ..., "arguments": {...}}</tool_call>`, results as `<tool_response>`."""

    def request(
        self, messages: Sequence[Message], tools: Sequence[Tool], sampling: Sampling, *, choice: ToolChoice = "auto"
    ) -> tuple[list[Message], Sampling]:
        """Describes the tools in the system message and writes calls and results as text."""
        numbers = _numbered(messages)
        sent = [_as_text(message, numbers) for message in messages]
        if tools and choice != "none":
            given = sent.pop(0).text if sent and sent[0].role == "system" else ""
            sent.insert(0, system(f"{given}\n\n{_instructions(tools)}".strip()))
        changed: dict[str, Any] = {"stop": (*sampling.stop, "<tool_response>")}
        if tools and choice != "auto":
            changed["grammar"] = _grammar(tools) if choice == "required" else WORDS
        return _merged(sent), sampling.model_copy(update=changed)

    def reply(self, message: Message) -> Message:
        """Takes the calls out of the text."""
        return _with_ids(_read_text_calls(message))


def _schema(tool: Tool) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
    return {"type": "function", "function": function}


def _instructions(tools: Sequence[Tool]) -> str:
    listed = "\n".join(json.dumps(_schema(tool)["function"], ensure_ascii=False) for tool in tools)
    return (
        f"You can call tools. Each line describes one:\n{listed}\n"
        'To call one, write <tool_call>{"name": "...", "arguments": {...}}</tool_call>; you may write several. '
        "Their results come back in <tool_response> blocks. When you know the answer, write it without any tool call."
    )


def _grammar(tools: Sequence[Tool]) -> str:
    """A grammar that allows one call of one of the tools, in the dialect that takes JSON schemas as they are."""
    calls = [
        {
            "type": "object",
            "properties": {"name": {"const": tool.name}, "arguments": dict(tool.parameters)},
            "required": ["name", "arguments"],
            "additionalProperties": False,
        }
        for tool in tools
    ]
    schema = json.dumps({"anyOf": calls})
    return f'%llguidance {{}}\nstart: "<tool_call>" call "</tool_call>"\ncall: %json {schema}\n'


def _numbered(messages: Sequence[Message]) -> dict[str, int]:
    """Numbers of calls by id, from 1: ids are drawn at random, and a text that holds them is another one each time."""
    ids = dict.fromkeys(call.id for message in messages for call in message.tool_calls or ())
    return {id: number for number, id in enumerate(ids, start=1)}


def _as_text(message: Message, numbers: Mapping[str, int]) -> Message:
    if message.role == "tool":
        number = numbers.get(message.tool_call_id or "", message.tool_call_id)
        label = " ".join(str(part) for part in (message.name, number) if part)
        return user(f"<tool_response>\n[{label}]\n{defuse(message.text)}\n</tool_response>")
    if message.role == "assistant" and message.tool_calls:
        blocks = [f"<tool_call>{_call_text(call)}</tool_call>" for call in message.tool_calls]
        return assistant("\n".join(part for part in (message.text, *blocks) if part))
    return message


def _call_text(call: ToolCall) -> str:
    if call.name == INVALID_CALL:
        return call.arguments_text
    return f'{{"name": {json.dumps(call.name)}, "arguments": {call.arguments_text or "{}"}}}'


def _merged(messages: Sequence[Message]) -> list[Message]:
    """Joins neighbouring user messages: many chat templates insist that roles alternate."""
    merged: list[Message] = []
    for message in messages:
        plain = message.role == "user" and isinstance(message.content, str)
        if plain and merged and merged[-1].role == "user" and isinstance(merged[-1].content, str):
            merged[-1] = user(f"{merged[-1].content}\n\n{message.content}")
        else:
            merged.append(message)
    return merged


def _read_text_calls(message: Message) -> Message:
    blocks = _BLOCK.findall(message.text)
    if not blocks:
        return message
    calls = tuple(_read_call(block.strip()) for block in blocks)
    said = _BLOCK.sub("", message.text).strip()
    return message.model_copy(update={"content": said or None, "tool_calls": calls})


def _read_call(text: str) -> ToolCall:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return ToolCall.make(INVALID_CALL, text)
    name = data.get("name") if isinstance(data, dict) else None
    if not isinstance(name, str) or not name:
        return ToolCall.make(INVALID_CALL, text)
    arguments = data.get("arguments", data.get("parameters", {}))
    return ToolCall.make(name, arguments if isinstance(arguments, dict | str) else json.dumps(arguments))


def _with_ids(message: Message) -> Message:
    """Gives an id to every call that lacks one or shares it with another: results are matched by id."""
    seen: set[str] = set()
    calls = []
    for call in message.tool_calls or ():
        if not call.id or call.id in seen:
            call = call.model_copy(update={"id": f"call_{uuid4().hex[:12]}"})
        seen.add(call.id)
        calls.append(call)
    return message.model_copy(update={"tool_calls": tuple(calls)}) if calls else message
