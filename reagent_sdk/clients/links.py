"""The connections to an endpoint, one pool in each event loop."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import aiohttp


@dataclass(frozen=True, slots=True)
class Link:
    """A connection pool, and a lock for what is asked only once; both belong to one event loop."""

    session: aiohttp.ClientSession
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


def connect(timeout: float) -> Link:
    """Opens a pool whose requests take at most `timeout` seconds. Nothing is sent yet."""
    import aiohttp

    session = aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=timeout, sock_connect=min(timeout, 10.0)),
        # Without a limit of our own: waiting for a free connection would count towards the request's timeout.
        connector=aiohttp.TCPConnector(limit=0),
        cookie_jar=aiohttp.DummyCookieJar(),
    )
    return Link(session)


async def disconnect(link: Link) -> None:
    """Closes the pool."""
    await link.session.close()
