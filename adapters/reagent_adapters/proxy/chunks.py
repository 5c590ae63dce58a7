"""A whole reply as the chunks of a stream."""

from __future__ import annotations

import re
from collections.abc import Iterator

from reagent_adapters.proxy.upstream import Json

_FRAME = ("id", "created", "model", "system_fingerprint", "service_tier")
_PIECE = re.compile(r".{1,200}(?:\s|\Z)|.{1,200}", re.DOTALL)
"""Texts leave in pieces of up to 200 characters, cut at blanks where there are any."""


def frame_of(reply: Json) -> Json:
    """What all chunks of one stream share."""
    return {name: reply[name] for name in _FRAME if name in reply} | {"object": "chat.completion.chunk"}


def chunk(frame: Json, index: int, delta: Json, finish: str | None = None, more: Json | None = None) -> Json:
    """One chunk with one choice."""
    return {**frame, "choices": [{"index": index, "delta": delta, "finish_reason": finish}], **(more or {})}


def chunks_of(reply: Json, index: int, frame: Json | None = None, last: Json | None = None) -> Iterator[Json]:
    """The chunks of a completion's first choice: role, whatever the message holds, its text, its tool calls, its end.

    Args:
        reply: the completion.
        index: which of the wanted answers it is.
        frame: what the chunks share with those of other completions in the same stream.
        last: further fields of the last chunk.
    """
    frame, choice = frame_of(reply) | (frame or {}), reply["choices"][0]
    message = choice["message"]
    text, calls = message.get("content"), message.get("tool_calls") or []
    other = {
        name: value
        for name, value in message.items()
        if name not in ("role", "content", "tool_calls") and value is not None
    }
    begin = "" if isinstance(text, str) else text
    yield chunk(frame, index, {"role": message.get("role", "assistant"), "content": begin, **other})
    if isinstance(text, str) and choice.get("logprobs"):
        told = chunk(frame, index, {"content": text})
        told["choices"][0]["logprobs"] = choice["logprobs"]  # of the whole text, so that comes in one piece
        yield told
    elif isinstance(text, str):
        for piece in _PIECE.findall(text):
            yield chunk(frame, index, {"content": piece})
    if calls:
        yield chunk(frame, index, {"tool_calls": [{"index": at, **call} for at, call in enumerate(calls)]})
    yield chunk(frame, index, {}, choice.get("finish_reason") or "stop", last)
