"""Runs the front and its backend until a signal ends them."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import signal
import socket
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import uvicorn

from reagent_sdk.errors import InvalidInput
from reagent_sdk.serving.app import Front, Limits, build
from reagent_sdk.serving.backends import Backend, Target
from reagent_sdk.serving.card import Card
from reagent_sdk.serving.keys import Keys
from reagent_sdk.serving.local_hosts import is_loopback
from reagent_sdk.serving.log import EventLog

_KEEP_ALIVE = 3.0
"""Seconds that an idle connection to the backend is kept: fewer than the 5 after which vLLM closes it."""


@dataclass(frozen=True)
class Hosting:
    """How the front is run.

    Attributes:
        host: address to listen on.
        port: TCP port, 0 for a free one.
        keys: who may come in; None for everybody.
        limits: what is let through.
        drain_seconds: time that requests have to finish after the first signal.
    """

    host: str = "127.0.0.1"
    port: int = 8001
    keys: Keys | None = None
    limits: Limits = field(default_factory=Limits)
    drain_seconds: float = 30.0


def listen(host: str, port: int) -> socket.socket:
    """A listening socket, taken before anything is loaded.

    Raises:
        InvalidInput: the address is in use, is not this machine's, or needs rights.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except (OSError, OverflowError) as error:
        code = getattr(error, "errno", None)
        if code == errno.EADDRINUSE:
            raise InvalidInput(f"{host}:{port} is in use; pass another --port, or --port 0 for a free one") from None
        raise InvalidInput(f"cannot listen on {host}:{port}: {getattr(error, 'strerror', None) or error}") from None


def url_of(sock: socket.socket) -> str:
    """The base URL that clients on this machine use for it."""
    host, port = sock.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - read, not bound
    return f"http://[{host}]:{port}/v1" if ":" in host else f"http://{host}:{port}/v1"


async def serve(
    backend: Backend,
    card: Card,
    hosting: Hosting,
    sock: socket.socket,
    log: EventLog,
    announce: Callable[[Target], None],
) -> None:
    """Serves until the first SIGTERM or SIGINT, then finishes what is under way. A second signal ends the process.

    Args:
        backend: what does the work; started here and ended here.
        card: what is known about its judge.
        hosting: how to run.
        sock: where to listen.
        log: events and requests.
        announce: called once, when the backend answers for the first time.

    Raises:
        ModelUnavailable: the backend cannot be kept up.
    """
    async with connections() as session:
        local_only = hosting.keys is None and is_loopback(hosting.host)
        front = build(backend, card, session, log, keys=hosting.keys, limits=hosting.limits, local_only=local_only)
        log.write("listening", url=url_of(sock), engine=backend.engine)

        async def announcing() -> None:
            announce(await backend.ready())

        await until_told(front, sock, log, hosting.drain_seconds, work=backend.run(), announcing=announcing())


def connections() -> aiohttp.ClientSession:
    """Connections to backends: as many as there are requests, without a time limit of their own, and no cookies."""
    pool = aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_ALIVE)
    options: dict[str, Any] = {"timeout": aiohttp.ClientTimeout(total=None, sock_connect=10)}
    return aiohttp.ClientSession(connector=pool, cookie_jar=aiohttp.DummyCookieJar(), **options)


async def until_told(
    front: Front,
    sock: socket.socket,
    log: EventLog,
    drain_seconds: float,
    *,
    work: Coroutine[Any, Any, None],
    announcing: Coroutine[Any, Any, None],
) -> None:
    """Serves a front until the first SIGTERM or SIGINT, then drains it. A second signal ends the process.

    Args:
        front: what answers.
        sock: where to listen.
        log: events.
        drain_seconds: time that requests have to finish after the first signal.
        work: runs for as long as the server, and ends it when it ends; cancelled otherwise.
        announcing: tells somebody that the server can be used; may be cancelled before it came to that.

    Raises:
        Exception: what `work` raised.
    """
    server = server_of(front)
    with _signals(log) as told_to_end:
        serving = asyncio.ensure_future(server.serve(sockets=[sock]))
        running = asyncio.ensure_future(work)
        telling = asyncio.ensure_future(_announce(announcing, log))
        ending = asyncio.ensure_future(told_to_end.wait())
        try:
            await asyncio.wait({serving, running, ending}, return_when=asyncio.FIRST_COMPLETED)
            if not running.done():
                await _drain(front, drain_seconds, log)
        finally:
            server.should_exit = True
            for task in (running, telling, ending):
                task.cancel()
            await asyncio.gather(serving, running, telling, ending, return_exceptions=True)
        for task in (running, serving):
            if not task.cancelled():
                task.result()
    log.write("stopped")


async def _drain(front: Front, seconds: float, log: EventLog) -> None:
    front.drain.draining = True
    log.write("draining", in_flight=front.in_flight.count, seconds=seconds)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await front.in_flight.wait_idle()
    if front.in_flight.count:
        log.write("drained", broken_off=front.in_flight.count)


async def _announce(announcing: Coroutine[Any, Any, None], log: EventLog) -> None:
    try:
        await announcing
    except OSError as error:  # nobody reads stdout any more, which is no reason to stop serving
        log.write("unannounced", error=str(error))


class _Uvicorn(uvicorn.Server):
    """The HTTP server, without its own idea of what signals mean."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def server_of(front: Front) -> uvicorn.Server:
    """The HTTP server of a front, which listens where it is told and knows nothing of signals."""
    # What goes wrong in an answer is in our own log; uvicorn would add that a broken-off one is incomplete.
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    config = uvicorn.Config(
        front.app,
        http="h11",
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=1,
    )
    return _Uvicorn(config)


@contextlib.contextmanager
def _signals(log: EventLog) -> Iterator[asyncio.Event]:
    """An event that the first SIGTERM or SIGINT sets. The second ends the process; guards then end the engines."""
    loop, told = asyncio.get_running_loop(), asyncio.Event()

    def hear(number: int) -> None:
        if told.is_set():
            log.write("killed", signal=signal.Signals(number).name)
            os._exit(128 + number)
        told.set()

    for one in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(one, hear, one)
    try:
        yield told
    finally:
        for one in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(one)
