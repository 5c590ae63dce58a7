"""One request on its way to the backend, and the reply on its way back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp

from reagent_sdk.serving.account import Account
from reagent_sdk.serving.answers import Refused
from reagent_sdk.serving.backends import Backend, Target
from reagent_sdk.serving.bodies import Disconnected, read_json_body
from reagent_sdk.serving.refusals import refusal_of
from reagent_sdk.serving.usage_watch import StreamUsage, usage_of

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

    from reagent_sdk.serving.log import EventLog

_READ_AHEAD = 2**20
"""A reply up to this size is sent when it is complete: if it breaks off, the caller gets a proper error."""

_LOADING_RETRY, _DOWN_RETRY = 5.0, 2.0


class _BrokenOff(Exception):
    """The backend's reply ended before its end, after the first part of it was sent on."""


@dataclass(frozen=True)
class Forward:
    """Sends requests to one method of the backend, and replies back as they come.

    Server-sent events pass unchanged, and no faster than the caller reads. A caller that goes away ends the work.

    Attributes:
        backend: where to.
        session: connections to it.
        path: the method, such as `/chat/completions`.
        log: where the backend's failures are told.
        body_bytes: largest request.
        seconds: longest time for one request.
    """

    backend: Backend
    session: aiohttp.ClientSession
    path: str
    log: EventLog
    body_bytes: int
    seconds: float

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        try:
            self._target()  # before the body is read: a caller that must wait need not send it
            body = await read_json_body(scope, receive, limit=self.body_bytes)
            await self._unless_gone(self._exchange(Account.of(scope), body, send), receive)
        except Disconnected:
            return
        except Refused as refused:
            await refused.send(scope, receive, send)
        except _BrokenOff:
            Account.of(scope).broken = True  # an answer without an end: the server cuts the connection

    async def _unless_gone(self, work: Coroutine[Any, Any, None], receive: Receive) -> None:
        """Does the work; stops it when the caller goes away."""
        tasks = [asyncio.ensure_future(work), asyncio.ensure_future(_gone(receive))]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if tasks[0].done():
                tasks[0].result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _target(self) -> Target:
        target = self.backend.target
        if target is None and self.backend.was_ready:
            raise Refused(503, "the judge is down and is being brought back; try again", retry_after=_DOWN_RETRY)
        if target is None:
            raise Refused(503, "the judge is still loading; try again", retry_after=_LOADING_RETRY)
        return target

    async def _exchange(self, account: Account, body: bytes, send: Send) -> None:
        started = False

        async def begun(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            async with asyncio.timeout(self.seconds), self.backend.turn():
                await self._relay(account, body, begun)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self.log.write("backend_error", id=account.request_id, error=type(error).__name__)
            if started:
                raise _BrokenOff from None
            if isinstance(error, TimeoutError) and not isinstance(error, aiohttp.ServerTimeoutError):
                raise Refused(504, f"the judge took longer than {self.seconds:g} seconds") from None
            if isinstance(error, aiohttp.ClientConnectorError):
                self.backend.doubt()
                raise Refused(503, "the judge cannot be reached; try again", retry_after=_DOWN_RETRY) from None
            raise Refused(502, "the judge broke off its reply") from None

    async def _relay(self, account: Account, body: bytes, send: Send) -> None:
        target = self._target()  # looked up in its turn: the engine may have been started again meanwhile
        headers = {
            **target.headers,
            "Content-Type": "application/json",
            "Accept-Encoding": "identity",  # what passes by is read for its token counts
            "X-Request-Id": account.request_id,
        }
        url = target.endpoint.url + self.path
        async with self.session.post(url, data=body, headers=headers, allow_redirects=False) as reply:
            if reply.status != 200:
                refused, told = await refusal_of(reply, target.endpoint.secrets)
                self.log.write("backend_refused", id=account.request_id, status=reply.status, said=told)
                raise refused
            if reply.content_type == "text/event-stream":
                await _stream_events(account, reply, send)
            elif reply.content_type == "application/json":
                await _send_json(account, reply, send)
            else:
                raise Refused(502, f"the judge answered with {reply.content_type}, not JSON")


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _stream_events(account: Account, reply: aiohttp.ClientResponse, send: Send) -> None:
    watch = StreamUsage()
    plain = [(b"content-type", b"text/event-stream; charset=utf-8")]
    headers = [*plain, (b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no")]  # nginx must not collect them
    await send({"type": "http.response.start", "status": 200, "headers": headers})
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
