"""Reading an upstream's reply within limits: one JSON object, or server-sent events."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import TYPE_CHECKING

from reagent_adapters.proxy.refusals import broke_off, no_completion, refused_in_stream
from reagent_adapters.proxy.upstream import Json
from reagent_sdk.clients.failures import stated_error
from reagent_sdk.clients.replies import json_object
from reagent_sdk.errors import BadReply
from reagent_sdk.secrets import Secret
from reagent_sdk.serving.answers import Refused

if TYPE_CHECKING:
    import aiohttp

LONGEST_REPLY = 32 * 2**20
"""Bytes of one reply, whole or streamed."""


async def read_all(reply: aiohttp.ClientResponse) -> bytes:
    """The body of a reply.

    Raises:
        Refused: it is too long.
    """
    pieces, total = [], 0
    async for piece in reply.content.iter_chunked(64 * 2**10):
        pieces.append(piece)
        total += len(piece)
        if total > LONGEST_REPLY:
            reply.close()
            raise _too_long()
    return b"".join(pieces)


def read_object(body: bytes) -> Json:
    """The JSON object of a body.

    Raises:
        Refused: it is none.
    """
    try:
        return json_object(body)
    except BadReply:
        raise no_completion() from None


async def read_events(reply: aiohttp.ClientResponse, secrets: Sequence[Secret]) -> AsyncGenerator[Json, None]:
    """The JSON objects of a stream of server-sent events, up to `[DONE]`.

    Args:
        reply: the stream.
        secrets: keys to mask in what it says went wrong.

    Raises:
        Refused: it states an error, breaks off, or is not what it should be.
    """
    rest, total, ended = b"", 0, False
    async for piece in reply.content.iter_any():
        total += len(piece)
        if total > LONGEST_REPLY:
            reply.close()
            raise _too_long()
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            if not line.startswith(b"data:"):
                continue  # comments, names of events, the blank lines between them
            data = line.removeprefix(b"data:").strip()
            if data == b"[DONE]":
                return
            event = read_object(data)
            error = stated_error(event)
            if error is not None and "choices" not in event:
                raise refused_in_stream(error, secrets)
            ended = ended or _finishes(event)
            yield event
    if not ended:
        raise broke_off()


def _finishes(chunk: Json) -> bool:
    choices = chunk.get("choices")
    return isinstance(choices, list) and any(isinstance(one, dict) and one.get("finish_reason") for one in choices)


def _too_long() -> Refused:
    return Refused(502, "the upstream's reply is too long")
