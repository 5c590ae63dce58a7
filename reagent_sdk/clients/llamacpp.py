"""How the native engine is configured and started. The only place that knows xllamacpp's parameters."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reagent_sdk.errors import ModelUnavailable, WeightsUnavailable

_BATCH = 128  # prompt tokens between two looks at the caller's wish to stop; smaller gains little and reads slower
_PROMPT_CACHE_MIB = 256


@dataclass(frozen=True)
class EngineSpec:
    """What is loaded. Equal specs share one engine.

    Attributes:
        model: the GGUF file.
        adapters: GGUF LoRA adapters; each request says how strongly each of them applies.
        context: tokens that every single call can use, whatever the other slots do.
        slots: calls at a time.
        threads: CPU threads of the engine.
    """

    model: Path
    adapters: tuple[Path, ...] = ()
    context: int = 8192
    slots: int = 2
    threads: int = 1


def default_threads() -> int:
    """One core fewer than there are: threads that compete with a busy process collapse to a tenth of the speed."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores - 1)


def start(spec: EngineSpec, api_key: str) -> Any:
    """Loads the weights and returns the native server; holds Python's global lock meanwhile.

    Raises:
        WeightsUnavailable: a file is damaged, or does not fit the engine or the memory.
        ModelUnavailable: the engine is not available on this machine.
    """
    try:
        import xllamacpp
    except ImportError as error:
        raise ModelUnavailable(f"the embedded engine cannot be used on this machine: {error}") from error
    params = xllamacpp.CommonParams()
    params.model.path = str(spec.model)
    params.model_alias = {spec.model.name}  # else the endpoint tells every local user the whole path
    params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(path), 1.0) for path in spec.adapters]
    # Not one pool for all slots: there, long calls side by side make each other fail.
    params.n_ctx, params.n_parallel, params.kv_unified = spec.context * spec.slots, spec.slots, False
    params.n_batch = params.n_ubatch = _BATCH
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = spec.threads
    params.cache_ram_mib = _PROMPT_CACHE_MIB
    params.verbosity = -1
    params.warmup = params.fit_params = False  # nothing to fit on a CPU, and the first call warms up
    params.ui = params.endpoint_slots = False
    params.api_keys = [api_key]  # other users of this machine can reach the port
    params.n_threads_http = spec.slots + 2
    try:
        return xllamacpp.Server(params)
    except RuntimeError as error:
        files = ", ".join(str(path) for path in (spec.model, *spec.adapters))
        raise WeightsUnavailable(
            f"the engine cannot load {files}: damaged, incomplete, of an unknown kind, or too large for the memory"
        ) from error
