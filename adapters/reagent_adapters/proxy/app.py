"""The proxy: its paths and its layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route

from reagent_adapters.proxy.chat import Chat, Settings
from reagent_adapters.proxy.dialects import ChatDialect, Dialect
from reagent_adapters.proxy.metrics import PREFIX, RunMetrics
from reagent_adapters.proxy.pages import Pages
from reagent_adapters.proxy.passing import METHODS, Passing
from reagent_adapters.proxy.responses_dialect import ResponsesDialect
from reagent_adapters.proxy.runs import Runner
from reagent_adapters.proxy.watch import Watch
from reagent_sdk.serving.account import Accounted
from reagent_sdk.serving.app import PROBES, Front, as_endpoint, refused_page
from reagent_sdk.serving.drain import Drain
from reagent_sdk.serving.in_flight import InFlight
from reagent_sdk.serving.local_hosts import LocalHosts
from reagent_sdk.serving.log import EventLog
from reagent_sdk.serving.metrics import Metrics

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from starlette.types import ASGIApp

    from reagent_adapters.proxy.upstream import Upstream
    from reagent_sdk.judges.base import Judge
    from reagent_sdk.record import RunLog

_RATES = tuple(f"x-ratelimit-{what}-{of}" for what in ("limit", "remaining", "reset") for of in ("requests", "tokens"))
_EXPOSED = ("X-Request-Id", "X-Reagent-Status", "X-Reagent-Score", "X-Reagent-Attempts", "X-Reagent-Stop", *_RATES)


@dataclass(frozen=True)
class Doors:
    """Who comes in.

    Attributes:
        accounts: wraps the app in what authenticates callers and counts in the registry; None to ask nobody.
        local_only: whether only requests to a loopback name are answered.
        origins: web pages whose scripts may call; empty for none.
        in_flight: requests served at a time.
    """

    accounts: Callable[[ASGIApp, CollectorRegistry], ASGIApp] | None = None
    local_only: bool = True
    origins: Sequence[str] = ()
    in_flight: int = 512


@dataclass(frozen=True)
class Telling:
    """What is told about runs.

    Attributes:
        record: where runs are kept, contents and all; None to keep none.
        analysis: whether responses show the judge's analyses.
    """

    record: RunLog | None = None
    analysis: bool = False


def build(
    upstream: Upstream,
    judge: Judge,
    watch: Watch,
    log: EventLog,
    settings: Settings,
    doors: Doors,
    telling: Telling,
) -> Front:
    """Puts the proxy together.

    Args:
        upstream: what drafts and revises.
        judge: what judges.
        watch: what is known about both.
        log: events and requests.
        settings: how requests are taken.
        doors: who comes in.
        telling: what is told about runs.
    """
    drain, in_flight, metrics = Drain(), InFlight(doors.in_flight), Metrics(PREFIX)
    metrics.watch(drain, in_flight)
    metrics.look_up("upstream_up", "1 while the upstream can be reached.", lambda: watch.upstream_state == "up")
    metrics.look_up("judge_up", "1 while the judge can be reached.", lambda: watch.judge_state == "up")
    runner = Runner(upstream, judge, RunMetrics(metrics), log, telling.record, telling.analysis)
    pages = Pages(upstream, watch, drain, metrics)
    routes = [
        Route("/health", pages.health),
        Route("/ready", pages.ready),
        Route("/metrics", pages.metrics_page),
        Route("/v1/models", pages.models),
        Route("/v1/models/{name:path}", pages.model),
    ]
    dialects: dict[str, Dialect] = {"/v1/chat/completions": ChatDialect(), "/v1/responses": ResponsesDialect()}
    for path, dialect in dialects.items():
        limited = in_flight.around(Chat(runner, dialect, settings))
        routes.append(Route(path, as_endpoint(limited), methods=["POST"]))
    for method in METHODS:
        limited = in_flight.around(Passing(upstream, method, settings.body_bytes, settings.defaults.seconds))
        routes.append(Route(f"/v1{method}", as_endpoint(limited), methods=["POST"]))
    app: ASGIApp = Starlette(routes=routes, exception_handlers={HTTPException: refused_page})
    app = drain.around(app, spared=PROBES)
    app = doors.accounts(app, metrics.registry) if doors.accounts is not None else app
    app = LocalHosts(app) if doors.local_only else app
    if doors.origins:
        app = CORSMiddleware(
            app,
            allow_origins=doors.origins,
            allow_methods=("GET", "POST"),
            allow_headers=("*",),
            expose_headers=_EXPOSED,
        )
    paths = [route.path for route in routes]
    return Front(Accounted(app, paths=paths, metrics=metrics, log=log, quiet=PROBES), drain, in_flight)
