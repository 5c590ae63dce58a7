"""A chat model in this process: GGUF weights on the embedded engine, no server and no torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reagent_sdk import models
from reagent_sdk.clients.base import Completion, MeteredCall, Sampling
from reagent_sdk.clients.engine import Engine, shared_engine
from reagent_sdk.clients.llamacpp import EngineSpec, default_threads
from reagent_sdk.clients.local_call import LocalCall, finished
from reagent_sdk.errors import InvalidInput, ModelUnavailable
from reagent_sdk.messages import Message, to_openai
from reagent_sdk.models.gguf import check_gguf

Lora = str | Path | tuple[str | Path, float]
"""A GGUF LoRA adapter, with a scale other than 1 where one is given."""

_SEEDS = 2**32 - 1  # the engine takes 32 bits, and the largest of them means "random"


class Embedded:
    """A local model. Clients with the same model, adapter, context, slots and threads share one loaded engine.

    Weights are looked up at once and loaded on the first call, off the event loop, although the engine holds Python's
    global lock while it loads: 0.3 s for a small model. Up to `slots` calls run side by side, each with the whole of
    `context`; further calls wait for their turn. Cancelling a call stops the generation within one token, or one batch
    of 128 prompt tokens, and returns when its slot is free, after 10 seconds at the latest.

    Without `max_tokens` a reply ends when the model ends it or the context is full, which can take minutes on a CPU.
    """

    def __init__(
        self,
        model: str | Path = "smollm2-135m-instruct",
        *,
        lora: Lora | None = None,
        context: int = 8192,
        slots: int = 2,
        threads: int | None = None,
    ) -> None:
        """Finds the weights; see `models.find` for what `model` may be.

        Raises:
            WeightsUnavailable: the weights are not on this machine; the message names the fix.
            InvalidInput: a number that cannot work.
        """
        threads = default_threads() if threads is None else threads
        if min(context, slots, threads) < 1:
            raise InvalidInput("context, slots and threads must be at least 1")
        adapter, self._scale = lora if isinstance(lora, tuple) else (lora, 1.0)
        adapters = () if adapter is None else (Path(adapter).expanduser().resolve(),)
        for path in adapters:
            check_gguf(path)
        weights = models.find(model)
        spec = EngineSpec(weights.resolve(), adapters, context, slots, threads)
        self._label = str(model) if model in models.KNOWN else weights.name
        self._engine: Engine | None = shared_engine(spec)

    def bare(self) -> Embedded:
        """A client of the same loaded engine with the adapter switched off: the base model, at no further memory."""
        twin = object.__new__(Embedded)
        twin._label, twin._scale, twin._engine = self._label, 0.0, self.engine
        return twin

    @property
    def name(self) -> str:
        """What is called, for people to read."""
        adapters = self._engine.spec.adapters if self._engine and self._scale else ()
        return f"local:{self._label}" + "".join(f"+lora:{path.name}" for path in adapters)

    @property
    def engine(self) -> Engine:
        """The shared engine; its `base_url` and `api_key` let other programs of this machine use the loaded model.

        Raises:
            ModelUnavailable: the client was closed.
        """
        if self._engine is None:
            raise ModelUnavailable(f"the client of local:{self._label} is closed", model=f"local:{self._label}")
        return self._engine

    async def load(self) -> None:
        """Loads the model now instead of at the first call.

        Raises:
            WeightsUnavailable: the weights cannot be loaded.
        """
        await finished(self.engine.submit_load(), lambda: None)

    async def complete(self, messages: Sequence[Message], sampling: Sampling) -> Completion:
        """Completes a conversation; text and prompt progress are emitted on the current scope as they come.

        Raises:
            BudgetExceeded: the run's budget does not allow another call.
            WeightsUnavailable: the weights cannot be loaded.
            ContextOverflow: the prompt does not fit `context`.
            ModelRejected: the engine does not accept the messages, the grammar or another request field.
            ModelUnavailable: the engine failed or was shut down.
        """
        engine = self.engine
        request = _request(messages, sampling)
        request["lora"] = [{"id": index, "scale": self._scale} for index in range(len(engine.spec.adapters))]
        call = LocalCall()
        async with MeteredCall(self.name) as metered:
            try:
                await finished(engine.submit(request, call.on_chunk), call.cancel)
            finally:
                metered.used(call.reply.usage)
            call.check(self.name)
            return call.reply.completion(metered.usage)

    async def aclose(self) -> None:
        """Lets go of the engine, which is freed when its last client does. Idempotent."""
        self._engine = None


def _request(messages: Sequence[Message], sampling: Sampling) -> dict[str, Any]:
    asked = sampling.request_fields()
    if sampling.seed is not None:
        asked["seed"] = sampling.seed % _SEEDS
    if sampling.grammar is not None:
        asked["grammar"] = sampling.grammar
    return {
        **sampling.extra,
        **asked,
        "messages": to_openai(messages),
        "stream": True,
        "stream_options": {"include_usage": True},
        "return_progress": True,
        "timings_per_token": True,  # how much a reply that is broken off has cost
    }
