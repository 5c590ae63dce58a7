"""A server of the OpenAI protocol as the upstream, called directly: what it sends is what callers get."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp

from reagent_adapters.proxy.assemble import Assembly
from reagent_adapters.proxy.reading import read_all, read_events, read_object
from reagent_adapters.proxy.refusals import broke_off, no_completion, refused_by, unreachable
from reagent_adapters.proxy.upstream import BrokenOff, Json, Origin
from reagent_sdk import scope
from reagent_sdk.clients.base import MeteredCall
from reagent_sdk.clients.endpoints import Endpoint
from reagent_sdk.clients.replies import Price, usage_from
from reagent_sdk.events import TextDelta
from reagent_sdk.secrets import Secret
from reagent_sdk.serving.answers import Refused
from reagent_sdk.serving.relay import send_on
from reagent_sdk.usage import Usage

if TYPE_CHECKING:
    from starlette.types import Message, Send

    from reagent_sdk.serving.log import EventLog

_CHAT = "/chat/completions"
_PROBE = aiohttp.ClientTimeout(total=5)


class HttpUpstream:
    """A server behind an address.

    Args:
        endpoint: its address and the server's key for it.
        session: connections; closed by whoever opened it.
        log: where its failures are told.
        model: name of the one model that all requests go to; None passes the requests' own names on.
        price: US dollars per million prompt and per million completion tokens.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        session: aiohttp.ClientSession,
        log: EventLog,
        *,
        model: str | None = None,
        price: Price | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._session = session
        self._log = log
        self._model = model
        self._price = price

    @property
    def name(self) -> str:
        """Its model, where there is only one, and its address."""
        return f"{self._model} at {self._endpoint.url}" if self._model else self._endpoint.url

    async def complete(self, body: Mapping[str, Any], origin: Origin, *, live: bool) -> Json:
        """One chat completion; see `Upstream`. A live one is streamed and put together again."""
        async with MeteredCall() as call:
            reply = await (self._written(body, origin) if live else self._whole(body, origin))
            call.used(usage_from(reply.get("usage"), price=self._price))
        choices = reply.get("choices")
        first = choices[0] if isinstance(choices, list) and choices else None
        if not isinstance(first, dict) or not isinstance(first.get("message"), dict):
            raise no_completion()
        return reply

    async def stream(self, body: Mapping[str, Any], origin: Origin) -> AsyncGenerator[Json, None]:
        """The chunks as they come; see `Upstream`."""
        async with MeteredCall() as call, self._open(_CHAT, {**body, "stream": True}, origin) as reply:
            if reply.content_type != "text/event-stream":
                raise no_completion()
            async with aclosing(read_events(reply, self._endpoint.secrets)) as chunks:
                async for chunk in chunks:
                    if chunk.get("usage"):
                        call.used(usage_from(chunk["usage"], price=self._price))
                    yield chunk

    async def pass_on(self, path: str, body: Mapping[str, Any], origin: Origin, send: Send) -> bool:
        """Passes a request through; see `Upstream`."""
        begun = False

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        async with MeteredCall() as call:
            try:
                async with self._open(path, body, origin) as reply:
                    if not await send_on(origin.account, reply, noted):
                        raise Refused(502, f"the upstream answered with {reply.content_type}, not JSON")
            except Refused:
                if begun:
                    raise BrokenOff from None
                raise
            finally:
                if origin.account.usage is not None:
                    call.used(_priced(origin.account.usage, self._price))
        return True

    async def models(self, origin: Origin) -> list[Json]:
        """What the server lists; see `Upstream`."""
        if self._model:
            return [{"id": self._model, "object": "model", "created": 0, "owned_by": "upstream"}]
        async with self._open("/models", None, origin) as reply:
            listed = read_object(await read_all(reply)).get("data")
        return [row for row in listed if isinstance(row, dict)] if isinstance(listed, list) else []

    async def reachable(self) -> str:
        """Whether anything answers there, a refusal included: without a key of its own the server gets nothing else."""
        try:
            async with self._session.get(
                f"{self._endpoint.url}/models", headers=self._headers(None), timeout=_PROBE, allow_redirects=False
            ) as reply:
                return f"it answers with status {reply.status}" if reply.status >= 500 else ""
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return type(error).__name__

    async def aclose(self) -> None:
        """Nothing to free."""

    async def _whole(self, body: Mapping[str, Any], origin: Origin) -> Json:
        async with self._open(_CHAT, body, origin) as reply:
            return read_object(await read_all(reply))

    async def _written(self, body: Mapping[str, Any], origin: Origin) -> Json:
        within, written = scope.current(), Assembly()
        asked = {**body, "stream": True, "stream_options": {"include_usage": True}}
        async with self._open(_CHAT, asked, origin) as reply:
            if reply.content_type != "text/event-stream":  # a server that does not stream
                return read_object(await read_all(reply))
            async with aclosing(read_events(reply, self._endpoint.secrets)) as chunks:
                async for chunk in chunks:
                    text = written.add(chunk)
                    if text:
                        within.emit(TextDelta(within.stage, text))
        return written.completion()

    @asynccontextmanager
    async def _open(
        self, path: str, body: Mapping[str, Any] | None, origin: Origin
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        headers = self._headers(origin)
        data = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            data = json.dumps({**body, "model": self._model} if self._model else body).encode()
        method = "GET" if body is None else "POST"
        secrets = (*self._endpoint.secrets, *((Secret(origin.key),) if origin.key else ()))
        try:
            async with self._session.request(
                method, self._endpoint.url + path, data=data, headers=headers, allow_redirects=False
            ) as reply:
                if reply.status != 200:
                    refused, told = await refused_by(reply, secrets, own_key=origin.key is not None)
                    self._log.write("upstream_refused", id=origin.account.request_id, status=reply.status, said=told)
                    raise refused
                yield reply
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self._log.write("upstream_error", id=origin.account.request_id, error=type(error).__name__)
            raise (unreachable() if isinstance(error, aiohttp.ClientConnectorError) else broke_off()) from None

    def _headers(self, origin: Origin | None) -> dict[str, str]:
        headers = {"Accept-Encoding": "identity"}  # what passes by is read for its token counts
        own = self._endpoint.authorization
        if origin is not None:
            headers |= {**origin.headers, "X-Request-Id": origin.account.request_id}
        if origin is not None and origin.key is not None:
            headers["Authorization"] = f"Bearer {origin.key}"
        elif own is not None:
            headers["Authorization"] = own.reveal()
        return headers


def _priced(used: Usage, price: Price | None) -> Usage:
    """What a request that passed by used, of which only the token counts were read."""
    if price is None or used.unmetered_calls:
        return used
    usd = (used.prompt_tokens * price[0] + used.completion_tokens * price[1]) / 1e6
    return used.model_copy(update={"priced_usd": usd, "unpriced_calls": 0})
