"""The server's graceful end: it takes no further requests and finishes those it has."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from reagent_sdk.serving.answers import Refused

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

RETRY_SECONDS = 2.0


class Drain:
    """Whether the server is on its way out.

    Attributes:
        draining: set it, and further requests are refused.
    """

    def __init__(self) -> None:
        self.draining = False

    def around(self, app: ASGIApp, *, spared: Collection[str] = ()) -> ASGIApp:
        """An app that refuses requests while draining, except to the spared paths.

        Refusals close the connection: the next request of that caller finds another server behind the same name.
        """

        async def drained(scope: Scope, receive: Receive, send: Send) -> None:
            if self.draining and scope["path"] not in spared:
                told = "the server is shutting down; try again"
                await Refused(503, told, retry_after=RETRY_SECONDS, close=True).send(scope, receive, send)
                return
            await app(scope, receive, send)

        return drained
