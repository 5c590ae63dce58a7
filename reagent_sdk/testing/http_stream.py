"""A scripted reply as server-sent events, for requests that ask for a stream."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aiohttp import web

    from reagent_sdk.testing.http_script import Reply


async def send_stream(request: web.Request, reply: Reply, model: str, body: Mapping[str, Any]) -> web.StreamResponse:
    """Answers word by word, with `reply.pause` seconds between two pieces.

    Usage comes in a last chunk of its own, and only where the request asks for it in `stream_options`.
    """
    from aiohttp import web

    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", **reply.headers})
    await response.prepare(request)
    whole = reply.body(model)
    frame = {name: whole[name] for name in ("id", "created", "model")} | {"object": "chat.completion.chunk"}
    for number, (delta, finish) in enumerate(_deltas(whole["choices"][0])):
        if number and reply.pause:
            await asyncio.sleep(reply.pause)
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        await response.write(_event({**frame, "choices": [choice]}))
    if (body.get("stream_options") or {}).get("include_usage") and "usage" in whole:
        await response.write(_event({**frame, "choices": [], "usage": whole["usage"]}))
    await response.write(b"data: [DONE]\n\n")
    return response


def _deltas(choice: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], str | None]]:
    message = choice["message"]
    yield {"role": "assistant", "content": ""}, None
    if "reasoning_content" in message:
        yield {"reasoning_content": message["reasoning_content"]}, None
    for word in re.findall(r"\S+\s*|\s+", message["content"] or ""):
        yield {"content": word}, None
    for index, call in enumerate(message.get("tool_calls") or ()):
        function = call["function"]
        yield {"tool_calls": [{**call, "index": index, "function": {**function, "arguments": ""}}]}, None
        for half in re.findall(r".{1,8}", function["arguments"], re.DOTALL):
            yield {"tool_calls": [{"index": index, "function": {"arguments": half}}]}, None
    yield {}, choice["finish_reason"]


def _event(chunk: Mapping[str, Any]) -> bytes:
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"
