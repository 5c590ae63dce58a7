"""A chat model from Hugging Face weights in this process, through transformers. Needs the `hf` extra."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from reagent_sdk.clients.base import Completion, MeteredCall, Sampling
from reagent_sdk.clients.local_call import LocalCall, finished
from reagent_sdk.clients.workers import Workers
from reagent_sdk.errors import MissingExtra, ModelRejected, ModelUnavailable
from reagent_sdk.messages import Message

if TYPE_CHECKING:
    from reagent_sdk.clients.hf_model import HFModel

_EXIT_SECONDS = 10.0


class Transformers:
    """Safetensors weights, a full model or a PEFT adapter, that run without an engine of their own.

    The fallback for weights that have no GGUF: one call at a time, no prefix cache, no constrained decoding
    (`Sampling.grammar` is ignored, as are tools rejected), and a prompt that is being read cannot be interrupted.
    Code from a model repository never runs. The weights are loaded on the first call, on a thread.
    """

    def __init__(self, model: str | Path, *, device: str | None = None, dtype: str | None = None) -> None:
        """Takes a folder or a hub id.

        Args:
            model: a folder of weights, of a PEFT adapter, or the id of either on the hub.
            device: as torch names it; None for a GPU where there is one.
            dtype: as torch names it, such as "bfloat16"; None for the one the weights were saved in.

        Raises:
            MissingExtra: torch or transformers is not installed.
        """
        if not (find_spec("torch") and find_spec("transformers")):
            raise MissingExtra("running Hugging Face weights", "hf")
        self._model, self._device, self._dtype = str(model), device, dtype
        self._state = _State()
        self._shut = weakref.finalize(self, self._state.stop)  # also before the interpreter goes down

    @property
    def name(self) -> str:
        """What is called, for people to read."""
        path = Path(self._model)
        return f"hf:{path.name if path.exists() else self._model}"

    async def load(self) -> None:
        """Loads the model now instead of at the first call.

        Raises:
            WeightsUnavailable: missing or unfit weights.
            MissingExtra: an adapter, and peft is not installed.
        """
        await finished(self._workers.submit(self._load_only), lambda: None)

    async def complete(self, messages: Sequence[Message], sampling: Sampling) -> Completion:
        """Completes a conversation; text is emitted on the current scope as it comes.

        Raises:
            BudgetExceeded: the run's budget does not allow another call.
            WeightsUnavailable: missing or unfit weights; no safetensors, no chat template.
            ContextOverflow: the prompt and `max_tokens` do not fit the model's positions.
            ModelRejected: the chat template or the generator does not accept the messages or a request field.
            ModelUnavailable: the model failed, as for want of memory, or the client is closed.
        """
        if "tools" in sampling.extra:
            raise ModelRejected(
                "this client does not do tool calls; use the embedded engine or a server", model=self.name
            )
        call = LocalCall()
        async with MeteredCall(self.name) as metered:
            try:
                job = partial(self._run, messages, sampling, call)
                await finished(self._workers.submit(job), call.cancel)
            finally:
                metered.used(call.reply.usage)
            call.check(self.name)
            return call.reply.completion(metered.usage)

    async def aclose(self) -> None:
        """Frees the model. Idempotent."""
        await asyncio.to_thread(self._shut)  # waits for a generation under way to stop

    @property
    def _workers(self) -> Workers:
        if not self._shut.alive:
            raise ModelUnavailable(f"the client of {self.name} is closed", model=self.name)
        return self._state.workers

    def _load_only(self) -> None:
        self._loaded()

    def _loaded(self) -> HFModel:
        from reagent_sdk.clients.hf_model import load

        if self._state.model is None:
            self._state.model = load(self._model, self._device, self._dtype)
        return self._state.model

    def _run(self, messages: Sequence[Message], sampling: Sampling, call: LocalCall) -> None:
        state = self._state
        self._loaded().generate(messages, sampling, lambda chunk: state.stopping or call.on_chunk(chunk))


class _State:
    """What must be shut down in order when a client goes."""

    def __init__(self) -> None:
        self.model: HFModel | None = None
        self.stopping = False
        self.workers = Workers(1, "reagent-transformers")

    def stop(self) -> None:
        """Stops a generation under way, then the thread, then frees the model."""
        self.stopping = True
        self.workers.stop(_EXIT_SECONDS)
        self.model = None
