"""What the providers behind an HTTP interface have in common: one request, and every way it can fail."""

from __future__ import annotations

import functools
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from reagent_sdk.clients.loops import PerLoop
from reagent_sdk.clients.retry import retry_after
from reagent_sdk.secrets import excerpt, redact
from reagent_sdk.tools.search.providers.base import Hit, ProviderDown, ProviderMisconfigured, RateLimited, SearchFailed
from reagent_sdk.tools.search.providers.pace import Pace
from reagent_sdk.tools.search.providers.settings import checked_address, checked_key

if TYPE_CHECKING:
    import aiohttp

_MAX_REPLY = 4 * 2**20
_HOLD_LIMITED = 10.0
"""Seconds without requests after a refusal for their number that names no time."""
_HOLD_SLOW = 30.0
"""Seconds without requests after one that got no answer in time: each would cost the agent as much time again."""
_LONGEST_HOLD = 3600.0


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent to the provider."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None


class HttpProvider(ABC):
    """A provider behind an HTTP interface. Redirects are not followed: a key stays with the host it was meant for.

    Args:
        base_url: where the interface is.
        key: the key, if it wants one.
        timeout: seconds for one request.
        pace: how fast it may be asked.

    Raises:
        InvalidInput: the address or the key cannot be used.
    """

    name: ClassVar[str]
    key_variable: ClassVar[str] = ""
    interval: ClassVar[float] = 0.0

    def __init__(self, base_url: str, key: str | None = None, *, timeout: float = 10.0, pace: Pace | None = None):
        self._base_url = checked_address(base_url, self.name)
        self._key = None if key is None else checked_key(key, self.name, self.key_variable)
        self.pace = pace or Pace(self.interval)
        self._sessions = PerLoop(functools.partial(_connect, timeout), _disconnect)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({redact(self._base_url)!r})"

    @abstractmethod
    def _request(self, query: str, limit: int) -> Request:
        """The request for a query."""

    @abstractmethod
    def _hits(self, reply: Mapping[str, Any]) -> Iterable[Hit | None]:
        """The hits in a reply, whose fields may be anything."""

    async def search(self, query: str, limit: int) -> list[Hit]:
        """The best hits for a query, at most `limit`.

        Raises:
            SearchFailed: the provider gave no answer.
        """
        await self.pace.turn()
        try:
            reply = await self._send(self._request(query, limit))
        except SearchFailed as error:
            self.pace.hold(error)
            raise
        return [hit for hit in self._hits(reply) if hit is not None][:limit]

    async def aclose(self) -> None:
        """Closes the connections. Idempotent."""
        await self._sessions.aclose()

    async def _send(self, request: Request) -> Mapping[str, Any]:
        import aiohttp

        session = await self._sessions.get()
        try:
            async with session.request(
                request.method,
                self._base_url + request.path,
                headers={"Accept": "application/json", **request.headers},
                params=request.query,
                json=request.body,
                allow_redirects=False,
            ) as reply:
                page = await _take(reply)
                if reply.status != 200:
                    raise self._refusal(reply.status, reply.headers, page.decode("utf-8", "replace"))
        except TimeoutError:
            raise ProviderDown("no answer in time", retry_after=_HOLD_SLOW) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # Not chained: some of these carry the request's headers, and with them the key.
            told = excerpt(str(error), self._key) or type(error).__name__
            raise ProviderDown(f"the connection failed ({told})") from None
        return self._object(page)

    def _refusal(self, status: int, headers: Mapping[str, str], page: str) -> SearchFailed:
        said = excerpt(stated_reason(page), self._key)
        told = f"{status}: {said}" if said else f"status {status}"
        if status == 429 or (status == 503 and retry_after(headers) is not None):
            asked = self._asked_to_wait(headers)
            wait = _HOLD_LIMITED if asked is None else min(asked, _LONGEST_HOLD)
            return RateLimited(f"rate limited ({told})", retry_after=wait)
        if status in {401, 403}:
            fix = f"; check {self.key_variable}" if self.key_variable else ""
            return ProviderMisconfigured(f"the key was refused ({told}){fix}")
        if 300 <= status < 500 and status != 408:
            return ProviderMisconfigured(f"it does not take the request ({told})")
        return ProviderDown(f"it cannot answer now ({told})")

    def _asked_to_wait(self, headers: Mapping[str, str]) -> float | None:
        return retry_after(headers)

    def _object(self, page: bytes) -> Mapping[str, Any]:
        try:
            reply = json.loads(page)
        except (ValueError, RecursionError):
            reply = None
        if not isinstance(reply, dict):
            said = excerpt(page.decode("utf-8", "replace"), self._key, limit=80)
            raise ProviderDown(f"the reply is not a JSON object: {said or 'it is empty'}")
        return reply


def stated_reason(page: str) -> str:
    """What an error page says: the usual fields of JSON, else the page itself."""
    try:
        found = json.loads(page)
    except (ValueError, RecursionError):
        return page
    for _ in range(3):
        if not isinstance(found, Mapping):
            break
        found = next((found[name] for name in ("message", "detail", "error") if found.get(name)), page)
    return found if isinstance(found, str) else page


def rows_of(value: object) -> list[Mapping[str, Any]]:
    """The objects in a list that came from outside."""
    return [row for row in value if isinstance(row, Mapping)] if isinstance(value, list) else []


async def _take(reply: aiohttp.ClientResponse) -> bytes:
    taken = bytearray()
    async for chunk in reply.content.iter_chunked(64 * 2**10):
        taken += chunk
        if len(taken) > _MAX_REPLY:
            reply.close()
            raise ProviderDown(f"the reply is longer than {_MAX_REPLY >> 20} MiB")
    return bytes(taken)


def _connect(timeout: float) -> aiohttp.ClientSession:
    import aiohttp

    return aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=timeout, sock_connect=min(timeout, 5.0)),
        connector=aiohttp.TCPConnector(limit=0),
        cookie_jar=aiohttp.DummyCookieJar(),
    )


async def _disconnect(session: aiohttp.ClientSession) -> None:
    await session.close()
