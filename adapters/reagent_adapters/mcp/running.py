"""Runs the server over stdio or HTTP until its client or a signal ends it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn
from mcp.server import MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from reagent_adapters.mcp.server import make_server
from reagent_sdk.budget import Budget
from reagent_sdk.policy import Policy
from reagent_sdk.serving.host import listen
from reagent_sdk.serving.keys import KeyGate, Keys
from reagent_sdk.specs import judge_for
from reagent_sdk.wrap import with_critique

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

PATH = "/mcp"


@dataclass(frozen=True)
class Offer:
    """What the server offers. Without a model it offers verdicts alone."""

    judge: str
    model: str | None
    policy: Policy
    budget: Budget
    log: Path | None


@asynccontextmanager
async def _opened(offer: Offer) -> AsyncIterator[MCPServer[Any]]:
    judge = judge_for(offer.judge)
    agent = None
    try:
        if offer.model is not None:
            agent = with_critique(offer.model, judge=judge, policy=offer.policy, budget=offer.budget, log=offer.log)
        yield make_server(judge, agent)
    finally:
        if agent is not None:
            await agent.aclose()
        await judge.aclose()


async def over_stdio(offer: Offer) -> None:
    """Serves the one client at the other end of stdin and stdout, until it closes them."""
    async with _opened(offer) as server:
        await server.run_stdio_async()


async def over_http(offer: Offer, address: tuple[str, int], keys: Keys | None, announce: Callable[[str], None]) -> None:
    """Serves clients over streamable HTTP until SIGTERM or Ctrl-C.

    Args:
        offer: what is served.
        address: host and port to listen on; port 0 takes a free one.
        keys: who may come in; None for everybody who reaches a loopback address by a local name.
        announce: called with the server's URL once it listens.

    Raises:
        InvalidInput: the address cannot be listened on.
    """
    with listen(*address) as sock:
        async with _opened(offer) as server:
            security = TransportSecuritySettings(enable_dns_rebinding_protection=False) if keys is not None else None
            app = server.streamable_http_app(streamable_http_path=PATH, host=address[0], transport_security=security)
            app.routes.append(Route("/health", _health))
            config = uvicorn.Config(
                app if keys is None else _requests_only(app, KeyGate(app, keys=keys, prefix=PATH)),
                log_level="warning",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=10,
            )
            host, port = sock.getsockname()[:2]
            announce(f"http://[{host}]:{port}{PATH}" if ":" in host else f"http://{host}:{port}{PATH}")
            await _Server(config).serve(sockets=[sock])


class _Server(uvicorn.Server):
    """Ends in order on SIGTERM and Ctrl-C; uvicorn itself would then send the signal to the process once more."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for one in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(one, self.handle_exit, one, None)
        try:
            yield
        finally:
            for one in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(one)


async def _health(_: Request) -> JSONResponse:
    return JSONResponse({"status": "ok"})


def _requests_only(app: ASGIApp, gated: Any) -> ASGIApp:
    """Requests go through the gate; start and end of the server do not."""

    async def either(scope: Scope, receive: Receive, send: Send) -> None:
        await (gated if scope["type"] == "http" else app)(scope, receive, send)

    return either
