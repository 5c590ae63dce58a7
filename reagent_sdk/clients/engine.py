"""The embedded inference engine: llama.cpp's server in this process, loaded once and shared by all who name it."""

from __future__ import annotations

import secrets
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any

from reagent_sdk.clients.llamacpp import EngineSpec, start
from reagent_sdk.clients.streamed import Chunk
from reagent_sdk.clients.workers import Workers
from reagent_sdk.errors import ModelRejected, ModelUnavailable

OnChunk = Callable[[Chunk], bool]
"""Takes one streamed chunk on a worker thread; True stops the generation at once."""

_EXIT_SECONDS = 10.0


def shared_engine(spec: EngineSpec) -> Engine:
    """The process's engine for a spec. It is freed when nobody refers to it any more."""
    with _lock:
        engine = _engines.get(spec)
        if engine is None:
            engine = _engines[spec] = Engine(spec)
        return engine


class _Loaded:
    """The part of an engine that outlives it for a moment: what must be shut down in order."""

    def __init__(self, slots: int) -> None:
        self.server: Any = None
        self.stopping = False
        self.workers = Workers(slots, "reagent-engine")

    def stop(self) -> None:
        """Stops generations under way, then the threads, then the engine."""
        self.stopping = True
        if self.workers.stop(_EXIT_SECONDS):
            self.server = None


class Engine:
    """A model in memory. Loads on first use; thread-safe. Use `shared_engine` rather than making one.

    The engine also listens on a port of 127.0.0.1 (it cannot do otherwise), where it speaks the OpenAI protocol to
    whoever has `api_key`.
    """

    def __init__(self, spec: EngineSpec) -> None:
        self.spec = spec
        self.api_key = secrets.token_urlsafe(32)
        self._loading = threading.Lock()
        self._loaded = _Loaded(spec.slots)
        # Runs when the engine is collected and, before the interpreter goes down, also when it is not.
        weakref.finalize(self, self._loaded.stop)

    @property
    def base_url(self) -> str:
        """Address of the engine's OpenAI-compatible HTTP endpoint. Loads the model, blocking.

        Raises:
            WeightsUnavailable: the model cannot be loaded.
        """
        return f"{self.load().listening_address}/v1"

    def submit(self, request: dict[str, Any], on_chunk: OnChunk) -> Future[None]:
        """Starts a streamed chat completion on a worker thread, as soon as a slot is free.

        The future raises WeightsUnavailable when the model cannot be loaded, ModelRejected when the engine does not
        accept the request, and whatever `on_chunk` raises. Errors of the model itself arrive as a chunk.

        Raises:
            ModelUnavailable: the process is shutting down.
        """
        return self._submit(partial(self._run, request, on_chunk))

    def submit_load(self) -> Future[None]:
        """Loads the model on a worker thread; the future raises what `load` raises.

        Raises:
            ModelUnavailable: the process is shutting down.
        """
        return self._submit(self._load_only)

    def load(self) -> Any:
        """Loads the model unless it is loaded; returns the native server.

        Raises:
            WeightsUnavailable: a file is damaged, or does not fit the engine or the memory.
            ModelUnavailable: the engine is not available on this machine.
        """
        with self._loading:
            if self._loaded.server is None:
                self._loaded.server = start(self.spec, self.api_key)
            return self._loaded.server

    def _submit(self, job: Callable[[], None]) -> Future[None]:
        try:
            return self._loaded.workers.submit(job)
        except RuntimeError as error:
            raise ModelUnavailable("the embedded engine was shut down", model=self.spec.model.name) from error

    def _load_only(self) -> None:
        self.load()

    def _run(self, request: dict[str, Any], on_chunk: OnChunk) -> None:
        failures: list[BaseException] = []

        def callback(chunk: Chunk) -> bool:
            try:
                return self._loaded.stopping or on_chunk(chunk)
            except BaseException as error:  # native code would drop it; raised again below
                failures.append(error)
                return True

        server = self.load()
        try:
            server.handle_chat_completions(request, callback)
        except (ValueError, TypeError, RuntimeError) as error:
            raise ModelRejected(str(error), model=self.spec.model.name) from error
        if failures:
            raise failures.pop()


_lock = threading.Lock()
_engines: weakref.WeakValueDictionary[EngineSpec, Engine] = weakref.WeakValueDictionary()
