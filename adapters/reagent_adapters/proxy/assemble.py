"""Putting a streamed chat completion together again without losing fields that nobody here knows."""

from __future__ import annotations

from typing import Any

from reagent_adapters.proxy.upstream import Json

_WHOLE = {"role", "id", "type", "name", "index"}
"""Texts that come in one piece; servers that repeat them do not mean to add to them."""


class Assembly:
    """What has arrived of one reply with one choice. Single use."""

    def __init__(self) -> None:
        self._frame: Json = {}
        self._message: Json = {}
        self._choice: Json = {"index": 0, "finish_reason": None}
        self._logprobs: Json = {}

    def add(self, chunk: Json) -> str:
        """Takes the next chunk; returns the text it adds to the answer."""
        self._frame |= {name: value for name, value in chunk.items() if name != "choices" and value is not None}
        choices = chunk.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        if not isinstance(choice, dict):
            return ""
        delta = choice.get("delta")
        delta = delta if isinstance(delta, dict) else {}
        _merge(self._message, delta)
        if isinstance(choice.get("logprobs"), dict):
            _merge(self._logprobs, choice["logprobs"])
        rest = {name: value for name, value in choice.items() if name not in ("delta", "logprobs", "index")}
        self._choice |= {name: value for name, value in rest.items() if value is not None}
        text = delta.get("content")
        return text if isinstance(text, str) else ""

    def completion(self) -> Json:
        """The whole reply, as the upstream would have sent it at once."""
        message = {"role": "assistant", "content": None, **self._message}
        for call in message.get("tool_calls") or ():
            call.pop("index", None)
        choice = {**self._choice, "message": message}
        if self._logprobs:
            choice["logprobs"] = self._logprobs
        return {**self._frame, "object": "chat.completion", "choices": [choice]}


def _merge(into: Json, delta: Json) -> None:
    """Texts and lists grow; parts that carry an index grow each by itself; the last of anything else stays."""
    for name, value in delta.items():
        before = into.get(name)
        if value is None:
            into.setdefault(name, None)
        elif isinstance(value, str) and isinstance(before, str) and name not in _WHOLE:
            into[name] = before + value
        elif isinstance(value, dict):
            into[name] = before if isinstance(before, dict) else {}
            _merge(into[name], value)
        elif isinstance(value, list):
            into[name] = before if isinstance(before, list) else []
            _extend(into[name], value)
        elif not (name in _WHOLE and before and not value):
            into[name] = value


def _extend(into: list[Any], parts: list[Any]) -> None:
    for part in parts:
        index = part.get("index") if isinstance(part, dict) else None
        if not isinstance(index, int):
            into.append(part)
            continue
        known = next((one for one in into if isinstance(one, dict) and one.get("index") == index), None)
        if known is None:
            known = {"index": index}
            into.append(known)
        _merge(known, part)
