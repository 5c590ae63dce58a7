"""What callers are told when the backend refuses: what concerns their request, and nothing about the backend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from reagent_sdk.clients.failures import Refusal
from reagent_sdk.clients.replies import json_object
from reagent_sdk.clients.retry import retry_after
from reagent_sdk.errors import BadReply
from reagent_sdk.secrets import Secret, excerpt
from reagent_sdk.serving.answers import Refused

if TYPE_CHECKING:
    import aiohttp

_PAGE = 64 * 2**10
_LONGEST_MESSAGE = 500
_PASSED_ON = {400, 404, 413, 422}
"""Statuses whose cause is the request: the message tells the caller what to change."""


async def refusal_of(reply: aiohttp.ClientResponse, secrets: Sequence[Secret]) -> tuple[Refused, str]:
    """The refusal for the caller, and what the backend said, fit for the log."""
    body = await error_body(reply)
    refusal = Refusal.read(reply.status, body)
    said = excerpt(refusal.message, *secrets, limit=_LONGEST_MESSAGE)
    wait = retry_after(reply.headers)
    if reply.status in _PASSED_ON:
        message = said or "the judge does not take this request"
        code = "context_length_exceeded" if refusal.overflows else None
        return Refused(reply.status, message, code=code), said
    if reply.status == 429:
        return Refused(429, "the judge is at its limit; try again", retry_after=wait or 1), said
    if reply.status == 503:
        return Refused(503, "the judge cannot answer now; try again", retry_after=wait or 2), said
    if reply.status in (401, 403):
        return Refused(502, "the judge refused this server's own key"), said
    return Refused(502, f"the judge failed with status {reply.status}"), said


async def error_body(reply: aiohttp.ClientResponse) -> object:
    """What a backend says in place of a reply: its JSON, or "" for a web server's page, which only tells of itself."""
    page = bytearray()
    async for piece in reply.content.iter_chunked(_PAGE):
        page += piece
        if len(page) >= _PAGE:
            reply.close()
            break
    try:
        return json_object(bytes(page))
    except BadReply:
        return ""
