"""Items of the OpenAI Agents SDK (Responses format) as chat messages, and a session that keeps drafts out of memory."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from agents.memory import Session

from reagent_adapters.results import without_nones
from reagent_sdk.messages import ContentPart, Message, ToolCall

Item = dict[str, Any]
_RESULT = ("output", "outputs", "results", "result", "error")
_META = frozenset({"id", "type", "status", "name", "call_id", "namespace", "created_by", *_RESULT})


class Draft:
    """A session for one attempt: it reads what the real one remembers and writes nothing to it.

    Attributes:
        added: what the framework would have remembered.
    """

    def __init__(self, under: Session) -> None:
        self.session_id = under.session_id
        self.session_settings = getattr(under, "session_settings", None)
        self.added: list[Any] = []
        self._under = under

    async def get_items(self, limit: int | None = None) -> list[Any]:
        """What was said before, and in this attempt."""
        items = [*(await self._under.get_items(limit)), *self.added]
        return items if limit is None else items[max(0, len(items) - limit) :]

    async def add_items(self, items: list[Any]) -> None:
        """Keeps items of this attempt."""
        self.added += items

    async def pop_item(self) -> Any:
        """Takes the last item of this attempt back."""
        return self.added.pop() if self.added else None

    async def clear_session(self) -> None:
        """Forgets this attempt."""
        self.added.clear()


def split(items: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """What was asked, up to the last user message, and the work on it."""
    last = max((at for at, item in enumerate(items) if item.get("role") == "user"), default=-1)
    return list(items[: last + 1]), list(items[last + 1 :])


def without_draft(work: Sequence[Any]) -> list[Any]:
    """Work up to its last tool call or result: what a revision builds on, without the answer that it replaces.

    Reasoning stays with the calls that it led to; servers refuse one without the other.
    """
    used = [at for at, item in enumerate(work) if str(item.get("type", "")).endswith(("_call", "_output"))]
    return list(work[: used[-1] + 1]) if used else []


def messages_of(items: Iterable[Any]) -> list[Message]:
    """Chat messages, in order: what one response holds (reasoning, text, calls) becomes one assistant message."""
    said: list[Message] = []
    turn: Item = {}
    for item in items:
        kind = item.get("type") or "message"
        role = item.get("role", "assistant")
        closes = kind.endswith("_output") or (kind == "message" and (role != "assistant" or "content" in turn))
        if closes or (kind == "reasoning" and turn.keys() - {"reasoning_content"}):
            said += _closed(turn)
            turn = {}
        if kind == "reasoning":
            turn["reasoning_content"] = turn.get("reasoning_content", "") + _reasoning(item)
        elif kind == "message" and role == "assistant":
            turn["content"] = _text(item["content"])
        elif kind == "message":
            said.append(Message(role=role, content=_content(item["content"])))
        elif kind.endswith("_output"):
            said.append(_result(item.get("call_id"), item.get("output")))
        elif kind.endswith("_call"):
            turn.setdefault("tool_calls", []).append(_call(item))
            found = next((item[key] for key in _RESULT if item.get(key)), None)
            if found is not None:  # a tool that the server runs: its result comes with the call
                said += [*_closed(turn), _result(item.get("call_id") or item.get("id"), found)]
                turn = {}
    return said + _closed(turn)


def _closed(turn: Item) -> list[Message]:
    return [Message(role="assistant", **turn)] if turn else []


def _call(item: Mapping[str, Any]) -> ToolCall:
    told = item.get("arguments", item.get("input"))
    if told is None:
        told = json.dumps({key: value for key, value in item.items() if key not in _META}, default=str)
    name = item.get("name") or item["type"].removesuffix("_call")
    return ToolCall.make(name, told, id=item.get("call_id") or item.get("id") or "")


def _result(call_id: str | None, output: object) -> Message:
    return Message(role="tool", content=_text(output), **without_nones({"tool_call_id": call_id}))


def _reasoning(item: Mapping[str, Any]) -> str:
    parts = item.get("content") or item.get("summary") or []
    return "\n".join(str(part.get("text", "")) for part in parts)


def _text(content: object) -> str:
    """Text of a content, of which parts that are no text appear as `[input_image]` and the like."""
    if isinstance(content, list):
        return "\n".join(map(_part_text, content))
    return content if isinstance(content, str) else json.dumps(content, ensure_ascii=False, default=str)


def _part_text(part: object) -> str:
    if not isinstance(part, Mapping):
        return str(part)
    found = next((part[key] for key in ("text", "refusal", "logs") if part.get(key)), None)
    if found is None and not str(part.get("type", "")).startswith("input_"):
        return json.dumps(dict(part), ensure_ascii=False, default=str)
    return str(found) if found is not None else f"[{part['type']}]"


def _content(content: Any) -> str | tuple[ContentPart, ...]:
    if isinstance(content, str):
        return content
    said = [(part.get("type"), part.get("text")) for part in content]
    return tuple(
        ContentPart(type=str(kind)) if text is None else ContentPart(type="text", text=text) for kind, text in said
    )
