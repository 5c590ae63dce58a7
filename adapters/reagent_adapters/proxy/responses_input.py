"""The input of a Responses request as chat messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reagent_adapters.proxy.responses_parts import (
    as_list,
    as_object,
    content_of,
    expect,
    text_field,
    tool_content,
    unsupported,
)
from reagent_adapters.proxy.upstream import Json

_ROLES = ("user", "assistant", "system", "developer")


def messages_of(body: Mapping[str, Any]) -> list[Json]:
    """The messages of a request: its instructions, then its input.

    Items of one assistant turn become one message: its reasoning, its text and its tool calls.

    Raises:
        Refused: 400, naming the item that has no place in a chat.
    """
    conversation = _Conversation()
    instructions = body.get("instructions")
    if instructions is not None:
        expect(isinstance(instructions, str), "instructions", "must be a text")
        conversation.messages.append({"role": "system", "content": instructions})
    given = body.get("input")
    if isinstance(given, str):
        conversation.messages.append({"role": "user", "content": given})
        return conversation.messages
    items = as_list(given, "input")
    expect(bool(items), "input", "must be a text, or a list of items with at least one")
    for number, item in enumerate(items):
        conversation.add(as_object(item, f"input[{number}]"), f"input[{number}]")
    return conversation.messages


class _Conversation:
    """Chat messages that grow by one item at a time.

    Attributes:
        messages: what there is.
    """

    def __init__(self) -> None:
        self.messages: list[Json] = []
        self._open: Json | None = None
        self._reasoning: list[str] = []

    def add(self, item: Mapping[str, Any], where: str) -> None:
        """Takes the next item."""
        kind = item.get("type") or ("message" if "role" in item else "item_reference")
        if kind == "message":
            self._message(item, where)
        elif kind == "function_call":
            self._call(item, where)
        elif kind == "function_call_output":
            self._close()
            content = tool_content(item.get("output"), f"{where}.output")
            call_id = text_field(item, "call_id", where)
            self.messages.append({"role": "tool", "tool_call_id": call_id, "content": content})
        elif kind == "reasoning":
            self._reason(item, where)
        elif kind == "item_reference":
            raise unsupported(where, "is a reference, and nothing is kept here; send the item itself")
        else:
            raise unsupported(f"{where}.type", f"{str(kind)[:60]!r} has no counterpart in a chat")

    def _message(self, item: Mapping[str, Any], where: str) -> None:
        role = item.get("role")
        expect(role in _ROLES, f"{where}.role", f"must be one of {', '.join(_ROLES)}")
        content, refusal = content_of(item.get("content"), f"{where}.content", joined=role == "assistant")
        if role != "assistant":
            self._close()
            self.messages.append({"role": role, "content": content})
            return
        before = self._open
        if before is None or "tool_calls" not in before:
            # Two texts in a row are two messages; a text after calls belongs to them, as their results come next.
            before = self._begin(new=True)
        if content or refusal is None:
            before["content"] = content if before["content"] is None else f"{before['content']}\n\n{content}"
        if refusal is not None:
            before["refusal"] = refusal

    def _call(self, item: Mapping[str, Any], where: str) -> None:
        call_id, name = text_field(item, "call_id", where), text_field(item, "name", where)
        arguments = item.get("arguments", "")
        expect(isinstance(arguments, str), f"{where}.arguments", "must be JSON in a text")
        call = {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
        self._begin(new=False).setdefault("tool_calls", []).append(call)

    def _reason(self, item: Mapping[str, Any], where: str) -> None:
        """Keeps open reasoning for the turn that it led to; what is encrypted or a summary is of no use to another."""
        parts = [as_object(part, f"{where}.content") for part in as_list(item.get("content"), f"{where}.content")]
        texts = [part["text"] for part in parts if isinstance(part.get("text"), str)]
        if texts and self._open is not None and "tool_calls" in self._open:
            # Between two calls of one turn: a new message would stand between a call and its result.
            before = self._open.get("reasoning_content")
            self._open["reasoning_content"] = "\n".join([before, *texts] if before else texts)
        elif texts:
            self._open = None
            self._reasoning += texts

    def _begin(self, *, new: bool) -> Json:
        """The assistant message that an item belongs to."""
        if self._open is None or new:
            self._open = {"role": "assistant", "content": None}
            if self._reasoning:
                self._open["reasoning_content"] = "\n".join(self._reasoning)
                self._reasoning = []
            self.messages.append(self._open)
        return self._open

    def _close(self) -> None:
        self._open = None
        self._reasoning = []
