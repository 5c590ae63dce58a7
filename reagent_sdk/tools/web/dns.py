"""Asks the DNS through the operating system, without letting a slow answer hold up anything else."""

from __future__ import annotations

import socket
from functools import partial

import anyio.to_thread
from aiohttp.abc import AbstractResolver, ResolveResult


class SystemResolver(AbstractResolver):
    """The operating system's resolver.

    Unlike the event loop's own, it abandons a lookup when the fetch is over: whoever runs a name's servers can make a
    lookup take half a minute, a few of those fill the loop's threads, and the loop waits for them when it ends.
    """

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Looks a name up."""
        look_up = partial(socket.getaddrinfo, host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
        found = await anyio.to_thread.run_sync(look_up, abandon_on_cancel=True)
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=port,
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, _, protocol, _, address in found
        ]

    async def close(self) -> None:
        """Nothing to close."""
