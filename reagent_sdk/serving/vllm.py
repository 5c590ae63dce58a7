"""The official vLLM, as a child process in an environment of its own."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from reagent_sdk.errors import InvalidInput
from reagent_sdk.secrets import Secret
from reagent_sdk.serving.child import Launch

T = TypeVar("T")

_OURS = {"--host", "--port", "--uds", "--api-key", "--root-path", "--ssl-keyfile", "--ssl-certfile"}
"""Flags that would take the engine away from the front, or show a key to everybody on the machine."""

_THEIRS = {"--reasoning-parser"}
"""Flags that spoil verdicts: a reasoning parser takes the analysis out of the reply."""

_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""The LoRA ranks that vLLM can be built for."""


@dataclass(frozen=True)
class Weights:
    """What vLLM loads.

    Attributes:
        model: a name on the Hugging Face hub, or a folder.
        name: what callers call it.
        adapters: LoRA adapters by the name that callers use.
    """

    model: str
    name: str
    adapters: Mapping[str, Path] = field(default_factory=dict)

    @classmethod
    def of(cls, reference: str, adapters: Mapping[str, Path]) -> Weights:
        """Reads what `hf:` names: a name, a folder of weights, or a folder with an adapter, which names its base.

        Raises:
            InvalidInput: an adapter is none, or has the name of the model.
        """
        folder = Path(reference).expanduser()
        given = {name: path.expanduser().resolve() for name, path in adapters.items()}
        model, name = reference, reference
        if folder.is_dir():
            model, name = str(folder.resolve()), folder.resolve().name
            if (folder / "adapter_config.json").is_file():
                given = {name: folder.resolve(), **given}
                model = _stated(folder, "base_model_name_or_path", str)
                name = Path(model).name if Path(model).is_dir() else model
        for adapter, path in given.items():
            _stated(path, "r", int)
            if adapter == name or "=" in adapter:
                raise InvalidInput(f"an adapter cannot be called {adapter!r}; pass --lora OTHER_NAME={path}")
        return cls(model, name, given)

    @property
    def judge(self) -> str:
        """The model that judges: the first adapter, else the model itself."""
        return next(iter(self.adapters), self.name)

    @property
    def rank(self) -> int:
        """The smallest rank that vLLM can be built for and all adapters fit.

        Raises:
            InvalidInput: an adapter has a larger one than any.
        """
        largest = max(_stated(path, "r", int) for path in self.adapters.values())
        fitting = [rank for rank in _RANKS if rank >= largest]
        if not fitting:
            raise InvalidInput(f"an adapter has rank {largest}, and vLLM takes at most {_RANKS[-1]}; merge it")
        return fitting[0]


def launch(python: str, weights: Weights, flags: Sequence[str]) -> Launch:
    """How to start it now: on a free port of 127.0.0.1, with a key nobody else knows.

    Args:
        python: interpreter of the environment that vLLM is installed in.
        weights: what to load.
        flags: further flags of vLLM; they come last and win.
    """
    port = _free_port()
    key = Secret(secrets.token_urlsafe(32))
    lora: list[str] = []
    if weights.adapters:
        modules = [f"{name}={path}" for name, path in weights.adapters.items()]
        lora = ["--enable-lora", "--max-lora-rank", str(weights.rank), "--lora-modules", *modules]
    command = [
        *(python, "-m", "vllm.entrypoints.openai.api_server"),
        *("--model", weights.model, "--served-model-name", weights.name),
        *("--host", "127.0.0.1", "--port", str(port)),
        *("--enable-prefix-caching", "--enable-prompt-tokens-details", "--disable-uvicorn-access-log"),
        *("--generation-config", "vllm"),  # else a penalty in the model's own file changes even greedy verdicts
        *lora,
        *flags,
    ]
    return Launch(command, {**os.environ, "VLLM_API_KEY": key.reveal(), "PYTHONUNBUFFERED": "1"}, key, port)


def check_flags(flags: Sequence[str]) -> None:
    """Refuses what must not be passed on.

    Raises:
        InvalidInput: such a flag is among them.
    """
    names = {flag.partition("=")[0].replace("_", "-") for flag in flags}
    if names & _OURS:
        raise InvalidInput(f"{sorted(names & _OURS)[0]} is for the front to say; pass it before `--`, or leave it out")
    if names & _THEIRS:
        raise InvalidInput("--reasoning-parser takes the analysis out of a judge's reply; leave it out")


def find_python(given: Path | None) -> str | None:
    """The interpreter that vLLM is installed for; the running one by default, None when that lacks it.

    Raises:
        InvalidInput: the one that was named does not have it.
    """
    if given is None:
        return sys.executable if _has_vllm(sys.executable) else None
    python = str(given.expanduser().absolute())  # not resolved: the link is what makes it the environment's
    if not _has_vllm(python):
        raise InvalidInput(f"{given} cannot import vllm; {HOW_TO_INSTALL}")
    return python


HOW_TO_INSTALL = (
    "install it in an environment of its own (python -m venv vllm-env; vllm-env/bin/pip install vllm) "
    "and pass --vllm-python vllm-env/bin/python"
)


def _has_vllm(python: str) -> bool:
    """Whether it is installed; not whether it imports, which takes ten seconds."""
    look = "import importlib.util, sys; sys.exit(importlib.util.find_spec('vllm') is None)"
    try:
        return subprocess.run([python, "-c", look], capture_output=True, timeout=60, check=False).returncode == 0  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return False


def _stated(folder: Path, field_name: str, kind: type[T]) -> T:
    """A field of an adapter's configuration."""
    try:
        value = json.loads((folder / "adapter_config.json").read_bytes())[field_name]
    except (OSError, ValueError, KeyError, TypeError):
        value = None
    if not isinstance(value, kind):
        raise InvalidInput(f"{folder} is no LoRA adapter: its adapter_config.json is missing or states no {field_name}")
    return value


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port
