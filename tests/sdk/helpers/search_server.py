"""A search engine's HTTP interface on this machine: scripted replies, recorded requests."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web


@dataclass(frozen=True)
class Page:
    """A reply: JSON, or bytes as they are. `hang` never answers."""

    body: Any = field(default_factory=dict)
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    hang: bool = False


@dataclass(frozen=True)
class Seen:
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any


class SearchServer:
    """Answers every request with the next page; the last one repeats."""

    def __init__(self, *pages: Page) -> None:
        self.requests: list[Seen] = []
        self._pages: Sequence[Page] = pages
        self._started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event, int]] = Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._started.result(0)[2]}"

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.result(120)
        return self

    def __exit__(self, *_: object) -> None:
        loop, stop, _port = self._started.result()
        loop.call_soon_threadsafe(stop.set)
        self._thread.join()

    async def _serve(self) -> None:
        stop = asyncio.Event()
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self._started.set_result((asyncio.get_running_loop(), stop, runner.addresses[0][1]))
        await stop.wait()
        await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        text = await request.text()
        headers = {name.lower(): value for name, value in request.headers.items()}
        body = json.loads(text) if text else None
        page = self._pages[min(len(self.requests), len(self._pages) - 1)]
        self.requests.append(Seen(request.method, request.path, dict(request.query), headers, body))
        if page.hang:
            await asyncio.Event().wait()
        raw = page.body if isinstance(page.body, bytes) else json.dumps(page.body).encode()
        return web.Response(body=raw, status=page.status, headers=dict(page.headers), content_type="application/json")
