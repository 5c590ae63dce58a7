"""What a `ChatServer` answers: replies, and the faults that real servers have."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from reagent_sdk.messages import ToolCall

if TYPE_CHECKING:
    from aiohttp import web

FaultKind: TypeAlias = Literal[
    "status",
    "reset_mid_body",
    "hang",
    "empty_body",
    "invalid_json",
    "truncated_body",
    "wrong_content_type",
    "huge",
    "trickle",
]

_DRIP = 0.05
"""Seconds between two bytes of a trickle."""


@dataclass(frozen=True)
class Reply:
    """A chat completion.

    Attributes:
        text: content of the message.
        reasoning: sent as `reasoning_content`, as servers with a reasoning parser do.
        finish_reason: why generation ended; "length" is a reply that was cut off.
        tool_calls: calls of tools; the content is then null unless there is text.
        usage: prompt and completion tokens, or a mapping that is sent as it is; None reports no usage.
        delay: seconds to wait before answering.
        pause: seconds between two words of a streamed reply.
        headers: further response headers.
        status: HTTP status.
    """

    text: str = ""
    reasoning: str | None = None
    finish_reason: str | None = "stop"
    tool_calls: Sequence[ToolCall] | None = None
    usage: tuple[int, int] | Mapping[str, Any] | None = (7, 3)
    delay: float = 0.0
    pause: float = 0.0
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int = 200

    def body(self, model: str) -> dict[str, Any]:
        """The completion in the OpenAI format."""
        message: dict[str, Any] = {"role": "assistant", "content": self.text}
        if self.tool_calls:
            message["content"] = self.text or None
            message["tool_calls"] = [call.model_dump(mode="json") for call in self.tool_calls]
        if self.reasoning is not None:
            message["reasoning_content"] = self.reasoning
        choice = {"index": 0, "message": message, "finish_reason": self.finish_reason}
        reply = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": model, "choices": [choice]}
        usage = self.usage
        if isinstance(usage, tuple):
            prompt, completion = usage
            usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
        return reply if usage is None else {**reply, "usage": usage}


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong. Make one with the class methods.

    Attributes:
        kind: what goes wrong.
        code: HTTP status of a "status" fault.
        retry_after: value of its `Retry-After` header.
        payload: its body; by default an error in the OpenAI format.
        n_bytes: size of a "huge" reply.
        seconds: how long a "trickle" takes.
    """

    kind: FaultKind
    code: int = 200
    retry_after: float | str | None = None
    payload: str | Mapping[str, Any] | None = None
    n_bytes: int = 0
    seconds: float = 0.0

    @classmethod
    def status(
        cls, code: int, *, retry_after: float | str | None = None, body: str | Mapping[str, Any] | None = None
    ) -> Fault:
        """An answer with this status, also 200 with a body of your own."""
        return cls("status", code=code, retry_after=retry_after, payload=body)

    @classmethod
    def reset_mid_body(cls) -> Fault:
        """The connection is reset after half the body."""
        return cls("reset_mid_body")

    @classmethod
    def hang(cls) -> Fault:
        """No answer until the client gives up, or the server is closed."""
        return cls("hang")

    @classmethod
    def empty_body(cls) -> Fault:
        """A 200 without a body."""
        return cls("empty_body")

    @classmethod
    def invalid_json(cls) -> Fault:
        """A 200 whose body breaks off in the middle of the JSON, though the HTTP reply is complete."""
        return cls("invalid_json")

    @classmethod
    def truncated_body(cls) -> Fault:
        """The connection is closed in good order before all the promised bytes were sent."""
        return cls("truncated_body")

    @classmethod
    def wrong_content_type(cls) -> Fault:
        """A 200 with an HTML page, as captive portals and gateways send."""
        return cls("wrong_content_type")

    @classmethod
    def huge(cls, n_bytes: int) -> Fault:
        """A well-formed reply with a text of this many bytes, sent in chunks."""
        return cls("huge", n_bytes=n_bytes)

    @classmethod
    def trickle(cls, seconds: float) -> Fault:
        """A 200 whose body comes byte by byte for so long, never falls silent, and then ends without being JSON."""
        return cls("trickle", seconds=seconds)


async def send_reply(request: web.Request, reply: Reply, model: str) -> web.StreamResponse:
    """Answers with a completion."""
    from aiohttp import web

    return web.json_response(reply.body(model), status=reply.status, headers=reply.headers)


async def send_fault(request: web.Request, fault: Fault) -> web.StreamResponse:
    """Answers with a fault; "hang" does not return until the handler is cancelled."""
    return await _SENDERS[fault.kind](request, fault)


async def _status(request: web.Request, fault: Fault) -> web.StreamResponse:
    from aiohttp import web

    headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    if isinstance(fault.payload, str):
        return web.Response(text=fault.payload, status=fault.code, headers=headers)
    error = {"error": {"message": f"scripted status {fault.code}", "code": fault.code}}
    return web.json_response(error if fault.payload is None else fault.payload, status=fault.code, headers=headers)


async def _broken_off(request: web.Request, fault: Fault) -> web.StreamResponse:
    from aiohttp import web

    response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"choices": [{"message": {"role": "assistant", "content": "half of')
    transport = request.transport
    if transport is not None:
        if fault.kind == "reset_mid_body":
            # Closing a socket that lingers for 0 seconds sends a reset in place of an orderly end.
            raw = transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.close()
    return response


async def _hang(request: web.Request, fault: Fault) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


async def _plain(request: web.Request, fault: Fault) -> web.StreamResponse:
    from aiohttp import web

    if fault.kind == "wrong_content_type":
        return web.Response(text="<html><body>Please log in</body></html>", content_type="text/html")
    body = b'{"choices": [{"message": ' if fault.kind == "invalid_json" else b""
    return web.Response(body=body, content_type="application/json")


async def _huge(request: web.Request, fault: Fault) -> web.StreamResponse:
    from aiohttp import web

    head, tail = json.dumps(Reply("|").body("huge")).encode().split(b"|")
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    await response.write(head)
    left, block = fault.n_bytes, b"a" * 2**16
    while left > 0:
        await response.write(block[:left])
        left -= len(block)
    await response.write(tail)
    return response


async def _trickle(request: web.Request, fault: Fault) -> web.StreamResponse:
    from aiohttp import web

    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    for _ in range(max(1, round(fault.seconds / _DRIP))):
        await response.write(b" ")
        await asyncio.sleep(_DRIP)
    await response.write(b"{")
    return response


_SENDERS: Mapping[FaultKind, Callable[[web.Request, Fault], Awaitable[web.StreamResponse]]] = {
    "status": _status,
    "reset_mid_body": _broken_off,
    "truncated_body": _broken_off,
    "hang": _hang,
    "empty_body": _plain,
    "invalid_json": _plain,
    "wrong_content_type": _plain,
    "huge": _huge,
    "trickle": _trickle,
}
