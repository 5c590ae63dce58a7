"""The front: its paths and its layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from reagent_sdk.serving.account import Accounted
from reagent_sdk.serving.answers import Refused
from reagent_sdk.serving.backends import Backend
from reagent_sdk.serving.card import Card
from reagent_sdk.serving.drain import Drain
from reagent_sdk.serving.forward import Forward
from reagent_sdk.serving.in_flight import InFlight
from reagent_sdk.serving.keys import KeyGate, Keys
from reagent_sdk.serving.local_hosts import LocalHosts
from reagent_sdk.serving.log import EventLog
from reagent_sdk.serving.metrics import Metrics
from reagent_sdk.serving.pages import Answer, Pages

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

PROBES = ("/health", "/ready", "/metrics")
METHODS = ("/chat/completions", "/completions")


@dataclass(frozen=True)
class Limits:
    """What the front lets through.

    Attributes:
        in_flight: requests served at a time.
        body_bytes: largest request.
        seconds: longest time for one request.
    """

    in_flight: int = 256
    body_bytes: int = 8 * 2**20
    seconds: float = 600.0


@dataclass(frozen=True)
class Front:
    """The application and the parts of it that are steered from outside."""

    app: ASGIApp
    drain: Drain
    in_flight: InFlight


def build(
    backend: Backend,
    card: Card,
    session: aiohttp.ClientSession,
    log: EventLog,
    *,
    keys: Keys | None,
    limits: Limits,
    local_only: bool,
) -> Front:
    """Puts the front together.

    Args:
        backend: what does the work.
        card: what is known about the judge.
        session: connections to the backend.
        log: events and requests.
        keys: who may come in; None for everybody.
        limits: what is let through.
        local_only: whether only requests to a loopback name are answered.
    """
    drain, in_flight, metrics = Drain(), InFlight(limits.in_flight), Metrics()
    metrics.watch(drain, in_flight, backend)
    pages = Pages(backend, card, session, drain, metrics)
    routes = [
        Route("/health", pages.health),
        Route("/ready", pages.ready),
        Route("/metrics", pages.metrics_page),
        Route("/v1/models", pages.models),
        Route("/v1/judge", pages.judge),
    ]
    for method in METHODS:
        forward = Forward(backend, session, method, log, limits.body_bytes, limits.seconds)
        limited = in_flight.around(forward)
        routes.append(Route(f"/v1{method}", as_endpoint(limited), methods=["POST"]))
    app: ASGIApp = Starlette(routes=routes, exception_handlers={HTTPException: refused_page})
    app = drain.around(app, spared=PROBES)
    app = KeyGate(app, keys=keys) if keys is not None else app
    app = LocalHosts(app) if local_only else app
    paths = [route.path for route in routes]
    return Front(Accounted(app, paths=paths, metrics=metrics, log=log, quiet=PROBES), drain, in_flight)


class _Passed(Response):
    """Hands a request on to an app of its own."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__()
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


def as_endpoint(app: ASGIApp) -> Any:
    """An app as the endpoint of a route, which would take a class instance for a whole sub-application."""

    async def endpoint(request: Request) -> Response:
        return _Passed(app)

    return endpoint


async def refused_page(request: Request, error: Exception) -> Response:
    """Unknown paths and methods, in OpenAI's shape as well."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    told = {404: "there is nothing at this path", 405: "this path takes another method"}
    return Answer(Refused(status, told.get(status, "the request cannot be served")))
