"""The output of a Response while it is written: items, their parts, and the events that tell of them."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, TypeAlias

from reagent_adapters.proxy.responses_items import call_item, message_item, reasoning_item, text_part
from reagent_adapters.proxy.upstream import Json

_TEXT, _REFUSAL, _REASONING = "output_text", "refusal", "reasoning_text"
_FIELDS = {_TEXT: "text", _REFUSAL: "refusal", _REASONING: "text"}
_EVENTS = {_TEXT: "response.output_text", _REFUSAL: "response.refusal", _REASONING: "response.reasoning_text"}

Told: TypeAlias = tuple[str, Json]
"""An event's name and fields, without its number."""


@dataclass
class _Call:
    """A tool call: its item, once it has a name, and what came before that."""

    id: str = ""
    early: str = ""
    index: int | None = None


class Writing:
    """Items that grow. Reasoning and messages come one after the other; calls stay open until the end.

    Attributes:
        items: what there is, in the order of their output index.
    """

    def __init__(self) -> None:
        self.items: list[Json] = []
        self._open: int | None = None
        self._calls: dict[object, _Call] = {}

    def reason(self, text: str) -> Iterator[Told]:
        """More reasoning."""
        index = yield from self._opened("reasoning")
        yield from self._grow(index, _REASONING, text)

    def text(self, text: str, logprobs: list[Json]) -> Iterator[Told]:
        """More of the answer."""
        index = yield from self._opened("message")
        yield from self._grow(index, _TEXT, text, logprobs)

    def refuse(self, text: str) -> Iterator[Told]:
        """More of a refusal by the model."""
        index = yield from self._opened("message")
        yield from self._grow(index, _REFUSAL, text)

    def call(self, part: Mapping[str, Any]) -> Iterator[Told]:
        """More of a tool call, in the chat format."""
        function = part.get("function") or {}
        slot, id, name = part.get("index"), part.get("id") or "", function.get("name") or ""
        arguments = function.get("arguments") or ""
        call = self._calls.get(slot)
        # Some servers give all calls the same index, or none, and only the id tells that another one begins.
        if call is None or (name and id and call.id and id != call.id):
            call = self._calls[slot] = _Call()
        call.id = call.id or id
        if call.index is None and not name:
            call.early += arguments  # an item cannot be shown without a name
            return
        yield from self._argue(call, name, arguments)

    def close_all(self, status: str) -> Iterator[Told]:
        """Ends what is open.

        Args:
            status: `completed` or `incomplete`, for the last item; those before it are complete.
        """
        for call in [call for call in self._calls.values() if call.index is None]:
            yield from self._argue(call, "", "")
        last = len(self.items) - 1
        yield from self._close(status if self._open == last else "completed")
        for index, item in enumerate(self.items):
            if item["type"] != "function_call":
                continue
            item["status"] = status if index == last else "completed"
            done = {"item_id": item["id"], "output_index": index, "name": item["name"], "arguments": item["arguments"]}
            yield "response.function_call_arguments.done", done
            yield "response.output_item.done", {"output_index": index, "item": dict(item)}

    def _argue(self, call: _Call, name: str, arguments: str) -> Iterator[Told]:
        if call.index is None:
            yield from self._close("completed")
            item = call_item({"id": call.id, "function": {"name": name}}, "in_progress")
            call.index = self._append(item)
            yield "response.output_item.added", {"output_index": call.index, "item": dict(item)}
            arguments = call.early + arguments
        if arguments:
            item = self.items[call.index]
            item["arguments"] += arguments
            where = {"item_id": item["id"], "output_index": call.index}
            yield "response.function_call_arguments.delta", {**where, "delta": arguments}

    def _opened(self, kind: str) -> Generator[Told, None, int]:
        """Makes the open item one of this kind; returns its index."""
        if self._open is None or self.items[self._open]["type"] != kind:
            yield from self._close("completed")
            item = reasoning_item("", "in_progress") if kind == "reasoning" else message_item([], "in_progress")
            self._open = self._append(item)
            yield "response.output_item.added", {"output_index": self._open, "item": deepcopy(item)}
        return self._open

    def _grow(self, index: int, kind: str, text: str, logprobs: list[Json] | None = None) -> Iterator[Told]:
        content = self.items[index]["content"]
        if not content or content[-1]["type"] != kind:
            yield from self._close_part(index)
            content.append(text_part("") if kind == _TEXT else {"type": kind, _FIELDS[kind]: ""})
            yield "response.content_part.added", {**self._place(index), "part": deepcopy(content[-1])}
        content[-1][_FIELDS[kind]] += text
        told: Json = {**self._place(index), "delta": text}
        if kind == _TEXT:
            told["logprobs"] = logprobs or []
            content[-1]["logprobs"] += told["logprobs"]
        yield f"{_EVENTS[kind]}.delta", told

    def _close(self, status: str) -> Iterator[Told]:
        if self._open is None:
            return
        index, self._open = self._open, None
        yield from self._close_part(index)
        self.items[index]["status"] = status
        yield "response.output_item.done", {"output_index": index, "item": self.items[index]}

    def _close_part(self, index: int) -> Iterator[Told]:
        content = self.items[index]["content"]
        if not content:
            return
        part, kind = content[-1], content[-1]["type"]
        told = {**self._place(index), _FIELDS[kind]: part[_FIELDS[kind]]}
        if kind == _TEXT:
            told["logprobs"] = part["logprobs"]
        yield f"{_EVENTS[kind]}.done", told
        yield "response.content_part.done", {**self._place(index), "part": part}

    def _append(self, item: Json) -> int:
        self.items.append(item)
        return len(self.items) - 1

    def _place(self, index: int) -> Json:
        item = self.items[index]
        return {"item_id": item["id"], "output_index": index, "content_index": len(item["content"]) - 1}
