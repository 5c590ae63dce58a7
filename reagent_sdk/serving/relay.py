"""Sending a backend's reply on to the caller, as it comes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from reagent_sdk.serving.usage_watch import StreamUsage, usage_of

if TYPE_CHECKING:
    import aiohttp
    from starlette.types import Send

    from reagent_sdk.serving.account import Account

_READ_AHEAD = 2**20
"""A reply up to this size is sent when it is complete: if it breaks off, the caller gets a proper error."""

EVENTS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),  # nginx must not collect them
]
"""Headers of a stream of server-sent events."""


async def send_on(account: Account, reply: aiohttp.ClientResponse, send: Send) -> bool:
    """Sends a reply with status 200 on, events no faster than the caller reads, and notes the tokens it reports.

    Returns:
        False when it is neither JSON nor events; nothing was sent then.

    Raises:
        aiohttp.ClientError: the reply broke off.
    """
    if reply.content_type == "text/event-stream":
        await _stream_events(account, reply, send)
    elif reply.content_type == "application/json":
        await _send_json(account, reply, send)
    else:
        return False
    return True


async def _stream_events(account: Account, reply: aiohttp.ClientResponse, send: Send) -> None:
    watch = StreamUsage()
    await send({"type": "http.response.start", "status": 200, "headers": EVENTS})
    async for piece in reply.content.iter_any():
        watch.feed(piece)
        account.usage = watch.usage
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _send_json(account: Account, reply: aiohttp.ClientResponse, send: Send) -> None:
    pieces = reply.content.iter_any()
    head = bytearray()
    async for piece in pieces:
        head += piece
        if len(head) > _READ_AHEAD:
            await _send_rest(bytes(head), pieces, send)
            return
    account.usage = usage_of(bytes(head))
    length = str(len(head)).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", length)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": bytes(head), "more_body": False})


async def _send_rest(head: bytes, pieces: AsyncIterator[bytes], send: Send) -> None:
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": head, "more_body": True})
    async for piece in pieces:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})
