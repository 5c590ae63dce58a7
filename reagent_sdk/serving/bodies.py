"""Reading a request's body within limits."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from reagent_sdk.serving.answers import Refused

if TYPE_CHECKING:
    from starlette.types import Receive, Scope


_PATIENCE = 8
"""A body up to so many limits long is read to its end and dropped: a caller that is still sending would see a reset
connection in place of the refusal."""


class Disconnected(Exception):
    """The caller went away."""


async def read_json_body(scope: Scope, receive: Receive, *, limit: int, seconds: float = 30.0) -> bytes:
    """The whole body, unparsed.

    It is read before anything else happens, so that a slow caller keeps no slot of the backend. Only
    `application/json` is taken: a web page cannot send that to another origin without asking first.

    Args:
        scope: the request.
        receive: where its body comes from.
        limit: bytes.
        seconds: time for all of it.

    Raises:
        Refused: 413, 415 or 408.
        Disconnected: the caller went away.
    """
    headers = dict(scope["headers"])
    if headers.get(b"content-type", b"").partition(b";")[0].strip().lower() != b"application/json":
        raise Refused(415, "send JSON, with Content-Type: application/json")
    length = headers.get(b"content-length", b"")
    if length.isdigit() and int(length) > _PATIENCE * limit:
        raise _too_large(limit)
    try:
        async with asyncio.timeout(seconds):
            return await _read(receive, limit)
    except TimeoutError:
        raise Refused(408, f"the request's body did not arrive within {seconds:g} seconds", close=True) from None


async def _read(receive: Receive, limit: int) -> bytes:
    body, total, more = bytearray(), 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        piece = message.get("body", b"")
        total += len(piece)
        if total > _PATIENCE * limit:
            break
        if total <= limit:
            body += piece
        more = message.get("more_body", False)
    if total > limit:
        raise _too_large(limit)
    return bytes(body)


async def unless_gone(work: Coroutine[Any, Any, None], receive: Receive) -> None:
    """Does the work; stops it when the caller goes away. The request's body must have been read."""
    tasks = [asyncio.ensure_future(work), asyncio.ensure_future(_gone(receive))]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if tasks[0].done():
            tasks[0].result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _too_large(limit: int) -> Refused:
    return Refused(413, f"the request is larger than {limit} bytes", close=True)
