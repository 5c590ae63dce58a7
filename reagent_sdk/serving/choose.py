"""From what the user named to the backend that serves it."""

from __future__ import annotations

import json
import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from reagent_sdk.clients.endpoints import KEY_VARIABLE as ENDPOINT_KEY
from reagent_sdk.clients.endpoints import Endpoint
from reagent_sdk.errors import InvalidInput
from reagent_sdk.secrets import Secret
from reagent_sdk.serving import vllm
from reagent_sdk.serving.attach import Attached
from reagent_sdk.serving.backends import Backend
from reagent_sdk.serving.card import Card, card_of
from reagent_sdk.serving.child import Launch
from reagent_sdk.serving.engine_process import KEY_VARIABLE
from reagent_sdk.serving.gpu import has_gpu
from reagent_sdk.serving.log import EventLog
from reagent_sdk.serving.supervised import Supervised

Engine = Literal["auto", "embedded", "vllm", "attach"]


@dataclass(frozen=True)
class Wish:
    """What the user asked for.

    Attributes:
        spec: the judge in the notation of `specs`, None for the default one.
        engine: what runs it; "auto" goes by the spec and the machine.
        slots: verdicts that the embedded engine works on at a time.
        context: tokens of each slot.
        threads: CPU threads of the embedded engine; None for all cores but one.
        adapters: LoRA adapters for vLLM, by name.
        vllm_python: interpreter that has vLLM, None for this one.
        vllm_flags: further flags of vLLM.
        backend_key: environment variable with the key of a server to attach to.
        hidden: environment variables that no child process sees.
    """

    spec: str | None = None
    engine: Engine = "auto"
    slots: int = 2
    context: int = 8192
    threads: int | None = None
    adapters: Mapping[str, Path] = field(default_factory=dict)
    vllm_python: Path | None = None
    vllm_flags: Sequence[str] = ()
    backend_key: str = ENDPOINT_KEY
    hidden: Sequence[str] = ()


def choose(wish: Wish, log: EventLog) -> tuple[Backend, Card]:
    """The backend, not yet started, and what is known about its judge.

    Raises:
        InvalidInput: the wish cannot be fulfilled; the message names the fix.
        WeightsUnavailable: local weights are missing.
    """
    engine, spec = _resolved(wish, log)
    if engine != "vllm" and (wish.adapters or wish.vllm_flags or wish.vllm_python):
        raise InvalidInput(f"--lora, --vllm-python and flags after `--` are for vLLM, and the engine is {engine}")
    if engine == "attach":
        return _attached(wish, spec, log)
    return _with_vllm(wish, spec, log) if engine == "vllm" else _embedded(wish, spec, log)


def _resolved(wish: Wish, log: EventLog) -> tuple[Engine, str]:
    """The engine, and a spec of a form that it takes."""
    spec = wish.spec or "local"
    forms = {"attach": ("http://", "https://"), "vllm": ("hf:", "local:"), "embedded": ("local",)}
    if wish.engine != "auto":
        if not spec.startswith(forms[wish.engine]):
            wanted = {"attach": "http://HOST:PORT/v1", "vllm": "hf:NAME_OR_FOLDER", "embedded": "local:PATH.gguf"}
            raise InvalidInput(f"--engine {wish.engine} needs a judge of the form {wanted[wish.engine]}, not {spec!r}")
        return wish.engine, spec
    if spec.startswith(forms["attach"]):
        return "attach", spec
    if spec.startswith("hf:") or _is_folder_without_gguf(spec):
        if not has_gpu():
            fix = "pass --engine vllm if yours runs on a CPU, or serve a GGUF file: local:PATH.gguf"
            raise InvalidInput(f"{spec!r} needs vLLM, and this machine has no GPU; {fix}")
        return "vllm", spec
    if spec == "local" or spec.startswith("local:"):
        if wish.spec is None and has_gpu():
            log.write("note", told="the default model runs on the CPU; name an hf: judge to use this machine's GPU")
        return "embedded", spec
    raise InvalidInput(f"{spec!r} cannot be served; write local[:PATH.gguf], hf:NAME_OR_FOLDER or http://HOST:PORT/v1")


def _is_folder_without_gguf(spec: str) -> bool:
    folder = Path(spec.removeprefix("local:").partition("?lora=")[0]).expanduser()
    return spec.startswith("local:") and folder.is_dir() and not any(folder.glob("*.gguf"))


def _attached(wish: Wish, spec: str, log: EventLog) -> tuple[Backend, Card]:
    url, _, model = spec.partition("#")
    endpoint = Endpoint.of(url, os.environ.get(wish.backend_key, "") if "@" not in url else None)
    return Attached(endpoint, model or None, log), Card()


def _with_vllm(wish: Wish, spec: str, log: EventLog) -> tuple[Backend, Card]:
    vllm.check_flags(wish.vllm_flags)
    reference = spec.partition(":")[2]
    if not reference or "?lora=" in reference:
        raise InvalidInput("vLLM takes hf:NAME_OR_FOLDER, with adapters as --lora NAME=FOLDER")
    weights = vllm.Weights.of(reference, wish.adapters)
    python = vllm.find_python(wish.vllm_python)
    if python is None:
        raise InvalidInput(f"vLLM is not installed here; {vllm.HOW_TO_INSTALL}")
    where = weights.adapters.get(weights.judge, Path(weights.model))
    card = card_of(where) if where.is_dir() else Card()

    def plan() -> Launch:
        return _without(vllm.launch(python, weights, wish.vllm_flags), wish.hidden)

    return Supervised("vllm", plan, log, judge=weights.judge), card


def _embedded(wish: Wish, spec: str, log: EventLog) -> tuple[Backend, Card]:
    from reagent_sdk import models
    from reagent_sdk.clients.embedded import Embedded
    from reagent_sdk.local_specs import DEFAULT_JUDGE, local_reference

    reference = local_reference(spec, DEFAULT_JUDGE)
    if reference is None:
        raise InvalidInput(f"{spec!r} cannot be embedded; write local[:PATH.gguf]")
    order: dict[str, Any] = {"model": reference.path, "lora": reference.lora}
    order |= {"context": wish.context, "slots": wish.slots, "threads": wish.threads, **reference.counts}
    Embedded(**order)  # finds the files and complains about numbers; loads nothing
    card = card_of(models.find(reference.path) if reference.lora is None else reference.weights)

    def plan() -> Launch:
        key = Secret(secrets.token_urlsafe(32))
        command = [sys.executable, "-m", "reagent_sdk.serving.engine_process", json.dumps(order)]
        return _without(Launch(command, {**os.environ, KEY_VARIABLE: key.reveal()}, key), wish.hidden)

    return Supervised("embedded", plan, log, width=order["slots"]), card


def _without(launch: Launch, hidden: Sequence[str]) -> Launch:
    """The same start without the variables that hold keys of others."""
    kept = {name: value for name, value in launch.environment.items() if name not in hidden}
    return Launch(launch.command, kept, launch.key, launch.port)
