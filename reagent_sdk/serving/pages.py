"""The pages that the front answers itself: probes, metrics, what is served."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import aiohttp
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from reagent_sdk.serving.answers import Refused
from reagent_sdk.serving.backends import Backend
from reagent_sdk.serving.card import Card
from reagent_sdk.serving.drain import Drain
from reagent_sdk.serving.metrics import CONTENT_TYPE, Metrics

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

_LONGEST_PAGE = 8 * 2**20

Rows: TypeAlias = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Pages:
    """The pages of one server.

    Attributes:
        backend: what they tell about.
        card: what is known about the judge.
        session: connections to the backend.
        drain: whether the server is on its way out.
        metrics: its numbers.
    """

    backend: Backend
    card: Card
    session: aiohttp.ClientSession
    drain: Drain
    metrics: Metrics

    async def health(self, request: Request) -> Response:
        """200: the process lives."""
        return JSONResponse({"status": "ok"})

    async def ready(self, request: Request) -> Response:
        """200 when the backend answers and the server stays."""
        state = self._state()
        if state == "ready":
            return JSONResponse({"status": state})
        return JSONResponse({"status": state}, status_code=503, headers={"Retry-After": "2"})

    def _state(self) -> str:
        if self.drain.draining:
            return "draining"
        if self.backend.target is not None:
            return "ready"
        return "down" if self.backend.was_ready else "loading"

    async def metrics_page(self, request: Request) -> Response:
        """The front's numbers and the backend's."""
        return Response(self.metrics.page(await self._backend_page()), media_type=CONTENT_TYPE)

    async def _backend_page(self) -> bytes:
        target = self.backend.target
        if target is None:
            return b""
        patience = aiohttp.ClientTimeout(total=2)
        url = f"{target.root}/metrics"
        try:
            async with self.session.get(url, headers=target.headers, timeout=patience, allow_redirects=False) as reply:
                if reply.status != 200:
                    return b""
                page = bytearray()
                async for piece in reply.content.iter_any():
                    page += piece
                    if len(page) > _LONGEST_PAGE:
                        return b""
                return bytes(page)
        except (aiohttp.ClientError, TimeoutError, OSError):
            return b""

    async def models(self, request: Request) -> Response:
        """The models that callers can name."""
        told = self.card.told_to_clients
        beside = {"reagent": told} if told else {}
        return self._when_ready(lambda rows: {"object": "list", "data": [{**row, **beside} for row in rows]})

    async def judge(self, request: Request) -> Response:
        """The judge's card."""

        def carded(rows: Rows) -> dict[str, Any]:
            return {"model": rows[0]["id"] if rows else None, "engine": self.backend.engine, **self.card.model_dump()}

        return self._when_ready(carded)

    def _when_ready(self, told: Callable[[Rows], dict[str, Any]]) -> Response:
        target = self.backend.target
        if target is not None:
            return JSONResponse(told(target.models))
        return Answer(Refused(503, "the judge is not ready; try again", retry_after=2))


class Answer(Response):
    """A refusal as a response, where the framework wants one."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(status_code=refused.status)
        self._refused = refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends it."""
        await self._refused.send(scope, receive, send)
