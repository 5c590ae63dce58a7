"""Conversations as TRL and the chat templates of models read them."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from reagent_sdk.exports.attempts import whole
from reagent_sdk.exports.choosing import LeftOut
from reagent_sdk.messages import Message, ToolCall
from reagent_sdk.run import Attempt, Run

_SYSTEM = ("system", "developer")


class Conversation(NamedTuple):
    """What was asked and what was done, in plain chat messages."""

    prompt: list[dict[str, Any]]
    completion: list[dict[str, Any]]


def prompt_of(run: Run, lead: tuple[Message, ...] = ()) -> list[dict[str, Any]]:
    """The messages that a model has to go on from.

    Args:
        run: whose task it is.
        lead: an agent's own system messages; they count where the task brings none.

    Raises:
        LeftOut: the question does not come from a user, or there are parts that are not text.
    """
    asked = run.task.messages
    if asked[-1].role != "user":
        raise LeftOut("a question that is not the user's")
    if any(message.role in _SYSTEM for message in asked):
        lead = ()
    return [plain(message) for message in (*lead, *asked)]


def conversation(run: Run, attempt: Attempt) -> Conversation:
    """An attempt as a prompt and its completion. Templates take system messages only at the head, so they go there.

    Raises:
        LeftOut: as :func:`prompt_of`, or there is no answer.
    """
    messages = whole(attempt)
    if not messages[-1].text.strip():
        raise LeftOut("without an answer")
    n_lead = next((place for place, message in enumerate(messages) if message.role not in _SYSTEM), 0)
    prompt = prompt_of(run, messages[:n_lead])
    return Conversation(prompt, [plain(message) for message in messages[n_lead:]])


def plain(message: Message) -> dict[str, Any]:
    """A message with the keys that chat templates know: role, content, reasoning, tool calls and results.

    Arguments are objects, as templates expect; what a model wrote that is no JSON object stays its text.

    Raises:
        LeftOut: it has parts that are not text.
    """
    if isinstance(message.content, tuple) and any(part.text is None for part in message.content):
        raise LeftOut("with images or other parts that are not text")
    said: dict[str, Any] = {"role": "system" if message.role == "developer" else message.role, "content": message.text}
    if message.reasoning:
        said["reasoning_content"] = message.reasoning
    if message.tool_calls:
        said["tool_calls"] = [_call(call) for call in message.tool_calls]
    if message.tool_call_id:
        said["tool_call_id"] = message.tool_call_id
    if message.name:
        said["name"] = message.name
    return said


def arguments_of(call: ToolCall) -> dict[str, Any] | None:
    """The arguments of a call; None where they are no JSON object."""
    given = call.function.arguments
    if isinstance(given, dict):
        return given
    try:
        read = json.loads(given or "{}")
        json.dumps(read, allow_nan=False)  # 1e999 is read as an infinity
    except (ValueError, RecursionError):
        return None
    return read if isinstance(read, dict) else None


def _call(call: ToolCall) -> dict[str, Any]:
    read = arguments_of(call)
    function = {"name": call.name, "arguments": call.arguments_text if read is None else read}
    return {**({"id": call.id} if call.id else {}), "type": "function", "function": function}
