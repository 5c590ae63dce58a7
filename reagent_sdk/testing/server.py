"""A real OpenAI-compatible HTTP server on this machine, with scripted answers and faults, for tests.

Example:
    with ChatServer([Fault.status(503), Reply("4")]) as server:
        client = OpenAICompatible(server.base_url)
        ...
    assert len(server.requests) == 2
"""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from reagent_sdk.testing.http_script import Fault, Reply, send_fault, send_reply
from reagent_sdk.testing.http_stream import send_stream

if TYPE_CHECKING:
    from aiohttp import web

__all__ = ["ChatServer", "Fault", "Recorded", "Reply", "refused_url"]

Answer: TypeAlias = Reply | Fault | str
Script: TypeAlias = Sequence[Answer] | Callable[[dict[str, Any]], Answer]

_TURNS = 5
"""Turns of the loop after which a connection that was just accepted is known to the server, which then closes it."""


@dataclass(frozen=True)
class Recorded:
    """A request that arrived: its parsed body, and its headers by their lower-case names."""

    body: dict[str, Any]
    headers: Mapping[str, str]


class ChatServer:
    """Serves `/v1/chat/completions` and `/v1/models` on 127.0.0.1, from a thread of its own. Single use.

    Requests with `stream: true` are answered word by word, as server-sent events.

    Args:
        script: answers in order, of which the last repeats; or a function from the request's body to an answer, called
            in the server's thread. A text is a `Reply` with that text.
        model: name of the model that is listed.
        owned_by: the engine that `/v1/models` names, such as "vllm" or "llamacpp".
        models_fault: a fault in place of the list of models.
        judge: what `/v1/models` tells of a judge that `reagent judge serve` would host, such as its prompt version.
        port: where to listen, 0 for a free port. A fixed one lets a server come back where another was killed.

    Attributes:
        requests: the chat requests that arrived, in order.
        models_asked: how often the list of models was asked for.
        disconnects: how many clients went away before they had their answer.

    Raises:
        ValueError: the script is empty.
    """

    def __init__(
        self,
        script: Script = ("ok",),
        *,
        model: str = "test-model",
        owned_by: str = "vllm",
        models_fault: Fault | None = None,
        judge: Mapping[str, Any] | None = None,
        port: int = 0,
    ) -> None:
        if not callable(script) and not script:
            raise ValueError("the script is empty; give at least one answer, the last one repeats")
        self.requests: list[Recorded] = []
        self.models_asked = 0
        self.disconnects = 0
        self._script = script
        self._model = model
        self._owned_by = owned_by
        self._models_fault = models_fault
        self._judge = judge
        self._port = port
        self._disconnected = threading.Event()
        self._started: Future[int] = Future()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._script_error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="chat-server")

    @property
    def base_url(self) -> str:
        """The address for clients, up to `/v1`."""
        return f"http://127.0.0.1:{self._started.result(timeout=0)}/v1"

    def wait_disconnect(self, timeout: float = 10.0) -> bool:
        """Waits until a client has gone away before it had its answer; False when none does in `timeout` seconds."""
        return self._disconnected.wait(timeout)

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.result()
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        """Stops the server; hanging requests are dropped. Raises what a script function raised."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        if self._script_error is not None and error is None:
            raise self._script_error

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as error:
            if self._started.done():
                raise
            self._started.set_exception(error)

    async def _serve(self) -> None:
        from aiohttp import web

        app = web.Application(client_max_size=2**30)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_get("/v1/models", self._models)
        # Cancelling handlers is how a client that went away is noticed, and little patience is how hanging ones end
        # (0 would mean to wait for ever).
        runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.01)
        await runner.setup()
        try:
            listening = socket.create_server(("127.0.0.1", self._port))
            await web.SockSite(runner, listening).start()
            self._loop = asyncio.get_running_loop()
            self._started.set_result(runner.addresses[0][1])
            await self._stop.wait()
            # asyncio drops, without closing it, a connection that was accepted just before its server is closed.
            self._loop.remove_reader(listening)
            for _ in range(_TURNS):
                await asyncio.sleep(0)
        finally:
            await runner.cleanup()

    async def _models(self, request: web.Request) -> web.StreamResponse:
        from aiohttp import web

        self.models_asked += 1
        if self._models_fault is not None:
            return await send_fault(request, self._models_fault)
        row: dict[str, Any] = {"id": self._model, "object": "model", "owned_by": self._owned_by}
        row |= {"reagent": dict(self._judge)} if self._judge is not None else {}
        return web.json_response({"object": "list", "data": [row]})

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = json.loads(await request.text())
        self.requests.append(Recorded(body, {name.lower(): value for name, value in request.headers.items()}))
        answer = self._next(body)
        try:
            if isinstance(answer, Fault):
                return await send_fault(request, answer)
            await asyncio.sleep(answer.delay)
            if body.get("stream") is True and answer.status == 200:
                return await send_stream(request, answer, self._model, body)
            return await send_reply(request, answer, self._model)
        except (asyncio.CancelledError, ConnectionError):
            if not self._stop.is_set():
                self.disconnects += 1
                self._disconnected.set()
            raise

    def _next(self, body: dict[str, Any]) -> Reply | Fault:
        if callable(self._script):
            try:
                answer = self._script(body)
            except Exception as error:
                self._script_error = self._script_error or error
                return Fault.status(500, body=f"the script raised {type(error).__name__}")
        else:
            answer = self._script[min(len(self.requests), len(self._script)) - 1]
        return Reply(answer) if isinstance(answer, str) else answer


@contextmanager
def refused_url() -> Iterator[str]:
    """An address on this machine that refuses connections; the port stays reserved inside the `with` block."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}/v1"
