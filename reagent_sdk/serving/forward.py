"""One request on its way to the backend, and the reply on its way back."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import aiohttp

from reagent_sdk.serving.account import Account
from reagent_sdk.serving.answers import Refused
from reagent_sdk.serving.backends import Backend, Target
from reagent_sdk.serving.bodies import Disconnected, read_json_body, unless_gone
from reagent_sdk.serving.refusals import refusal_of
from reagent_sdk.serving.relay import send_on

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

    from reagent_sdk.serving.log import EventLog

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
            await unless_gone(self._exchange(Account.of(scope), body, send), receive)
        except Disconnected:
            return
        except Refused as refused:
            await refused.send(scope, receive, send)
        except _BrokenOff:
            Account.of(scope).broken = True  # an answer without an end: the server cuts the connection

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
            if not await send_on(account, reply, send):
                raise Refused(502, f"the judge answered with {reply.content_type}, not JSON")
