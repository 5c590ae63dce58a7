"""A server without keys on a loopback address, and the browser on the same machine.

A page from anywhere can have its name resolved to 127.0.0.1 and then talk to this server as its own origin. Its
requests carry that name in the `Host` header, which is how they are told from the owner's.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from reagent_sdk.serving.answers import Refused

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


def is_loopback(host: str) -> bool:
    """Whether a host, as a name or an address, is this machine and only this machine."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


class LocalHosts:
    """Lets only requests through that were addressed to this machine by a loopback name or address."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        host = dict(scope["headers"]).get(b"host", b"").decode("latin-1")
        name = host[: host.find("]") + 1] if host.startswith("[") else host.partition(":")[0]
        if not is_loopback(name):
            told = "this server has no keys and answers only to localhost; start it with a key for other names"
            await Refused(403, told).send(scope, receive, send)
            return
        await self._app(scope, receive, send)
