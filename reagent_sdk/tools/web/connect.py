"""Connections that go only to addresses that may be called.

A name is resolved once for each request, the answer is judged, and the connection goes to that very answer: nothing is
resolved again, so an answer that changes (DNS rebinding) has no second chance. Each socket is judged once more, by the
address it is made for, whatever path led there.
"""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from reagent_sdk.tools.web.addresses import parse_networks, why_refused, within
from reagent_sdk.tools.web.dns import SystemResolver
from reagent_sdk.tools.web.errors import AddressRefused
from reagent_sdk.tools.web.urls import host_of

if TYPE_CHECKING:
    from aiohappyeyeballs import AddrInfoType

    from reagent_sdk.tools.web.settings import FetchSettings


_HEAD_BYTES = 2**20
"""What may come before the final reply's head is complete. HTTP sets no bound to the number of interim replies."""


@dataclass(slots=True)
class WireMeter:
    """How many more bytes a connection may bring."""

    left: int


class MeteredSocket(socket.socket):
    """A socket that breaks off when its meter is used up.

    Below HTTP, because what an HTTP parser collects before there is a reply is out of anybody's reach.
    """

    meter: WireMeter

    def recv(self, *args: Any) -> bytes:
        """Receives, and counts."""
        data = super().recv(*args)
        self._count(len(data))
        return data

    def recv_into(self, *args: Any) -> int:
        """Receives, and counts."""
        size = super().recv_into(*args)
        self._count(size)
        return size

    def _count(self, size: int) -> None:
        self.meter.left -= size
        if self.meter.left < 0:
            raise ConnectionAbortedError("the server sent more than the limit")


class Guard(AbstractResolver):
    """Judges the addresses that one host leads to; a resolver and a maker of sockets for aiohttp.

    Args:
        host: the host as it stands in the URL.
        settings: what is allowed.
        resolver: asks the DNS; by default through the operating system.
    """

    def __init__(self, host: str, settings: FetchSettings, resolver: AbstractResolver | None = None) -> None:
        self._host = host
        self._max_bytes = settings.max_bytes
        self._resolver = resolver or SystemResolver()
        named = host_of(host) in {host_of(entry) for entry in settings.allow_hosts}
        self._allow_private = settings.allow_private or named
        self._allowed = parse_networks(settings.allow_hosts)
        self._denied = parse_networks(settings.deny_networks)
        self.meter = WireMeter(_HEAD_BYTES)

    def expect_body(self) -> None:
        """Makes room for the body, once the head has come."""
        # Twice the body, because chunked encoding adds to it.
        self.meter.left += 2 * self._max_bytes

    def check(self, address: str) -> None:
        """Passes an address that may be called.

        Raises:
            AddressRefused: it may not.
        """
        reason = self._why_refused(address)
        if reason is not None:
            what = self._host if self._host == address else f"{self._host} leads to {address}, which"
            raise AddressRefused(f"{what} is {reason}, not a public one, and is not called")

    def _why_refused(self, address: str) -> str | None:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return "not an address"
        if within(parsed, self._denied):
            return "in a network that is denied here"
        if within(parsed, self._allowed):
            return None
        return why_refused(parsed, allow_private=self._allow_private)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Resolves and judges. One bad answer among good ones refuses the host: no honest name has one."""
        answers = await self._resolver.resolve(host, port, family)
        for answer in answers:
            self.check(answer["host"])
        return answers

    def make_socket(self, info: AddrInfoType) -> socket.socket:
        """Makes the socket for one address. Addresses in URLs come here without having been resolved."""
        family, kind, protocol, _, address = info
        self.check(str(address[0]))
        made = MeteredSocket(family, kind, protocol)
        made.meter = self.meter
        return made

    async def close(self) -> None:
        """Nothing to close: the resolver belongs to whoever gave it."""


def guarded_session(guard: Guard, settings: FetchSettings) -> aiohttp.ClientSession:
    """A session for one request to the guard's host.

    It is not kept: a kept connection would outlive the judgement that allowed it, and cookies, proxies and credentials
    of the environment have no place here.
    """
    connector = aiohttp.TCPConnector(
        resolver=guard, socket_factory=guard.make_socket, use_dns_cache=False, force_close=True
    )
    seconds = settings.connect_seconds
    return aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(
            total=None, connect=seconds, sock_connect=seconds, sock_read=settings.read_seconds
        ),
        headers=_headers(settings),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,  # done by us, under a limit: see fetch_body
        trust_env=False,
        read_bufsize=64 * 2**10,
    )


def _headers(settings: FetchSettings) -> dict[str, str]:
    return {
        "User-Agent": settings.user_agent,
        "Accept": "text/html,application/xhtml+xml,text/*;q=0.9,application/pdf;q=0.8,*/*;q=0.5",
        "Accept-Encoding": "gzip, deflate",
    }
