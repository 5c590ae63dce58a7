"""The judge through a real vLLM server: run by `make test-vllm`, which sets up the environment that vLLM needs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reagent_sdk.local_specs import DEFAULT_JUDGE
from reagent_sdk.models import SHIPPED

from .adapters import write_adapter
from .server import PYTHON, VllmServer

FIGURES = pytest.StashKey[list[tuple[str, str]]]()


@pytest.fixture(scope="session")
def vllm_weights(smollm_hf: Path) -> Path:
    """The small model as a Hugging Face folder, where there is a vLLM to serve it."""
    if not PYTHON.exists():
        pytest.skip("vLLM is not installed; run `make test-vllm`")
    return smollm_hf


@pytest.fixture(scope="session")
def adapters(vllm_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """PEFT adapters of random numbers, and of nothing but zeros in their second factor."""
    folder = tmp_path_factory.mktemp("adapters")
    return {name: write_adapter(vllm_weights, folder / name, zero=name == "zero") for name in ("random", "zero")}


@pytest.fixture(scope="session")
def server(
    vllm_weights: Path, adapters: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[VllmServer]:
    """One server for all tests that do not kill it."""
    modules = [f"{name}={path}" for name, path in {**adapters, DEFAULT_JUDGE: SHIPPED[DEFAULT_JUDGE].folder}.items()]
    options = ["--enable-prompt-tokens-details", "--enable-lora", "--max-lora-rank", "16", "--lora-modules", *modules]
    with VllmServer(vllm_weights, tmp_path_factory.mktemp("vllm") / "server.log", *options) as server:
        yield server


@pytest.fixture(scope="session")
def figure(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Takes what a test measured; it is printed when all tests are done."""
    figures = request.config.stash.setdefault(FIGURES, [])
    return lambda what, value: figures.append((what, value))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    figures = config.stash.get(FIGURES, [])
    if figures:
        terminalreporter.section(f"measured on {os.cpu_count()} cores, one of them for the model")
        for what, value in figures:
            terminalreporter.write_line(f"{what}: {value}")
