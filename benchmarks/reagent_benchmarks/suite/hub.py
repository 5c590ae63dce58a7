"""Rows and files from the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path

from reagent_benchmarks.judging.rows import Row
from reagent_benchmarks.suite.base import Benchmark
from reagent_sdk.errors import InvalidInput, MissingExtra
from reagent_sdk.home import benchmarks_dir


def hub_rows(benchmark: Benchmark) -> list[Row]:
    """The rows of a benchmark's split.

    Raises:
        InvalidInput: the hub has no copy, cannot be reached or lets nobody in; the message says what to do.
        MissingExtra: `datasets` is not installed.
    """
    if not benchmark.hub_id:
        raise _unavailable(benchmark, "there is no copy on the hub that can be loaded")
    try:
        from datasets import Image, load_dataset
    except ImportError:
        raise MissingExtra("a data set of the Hugging Face hub", "data") from None
    try:
        loaded = load_dataset(benchmark.hub_id, benchmark.config, split=benchmark.split)
    except (OSError, ValueError) as error:
        raise _unavailable(benchmark, _said(error)) from None
    images = [name for name, feature in loaded.features.items() if isinstance(feature, Image)]
    rows = loaded.remove_columns(images)
    return [Row(dict(row), Path(benchmark.hub_id), number, "row") for number, row in enumerate(rows, start=1)]


def hub_files(benchmark: Benchmark) -> Path:
    """The folder with a benchmark's files, fetched where they are not there yet.

    They are copied as plain files: links into the hub's cache lead out of the folder, and file tools refuse them.

    Raises:
        InvalidInput: the hub cannot be reached or lets nobody in; the message says what to do.
    """
    from huggingface_hub import snapshot_download

    folder = benchmarks_dir() / benchmark.hub_id.replace("/", "--")
    try:
        snapshot_download(benchmark.hub_id, repo_type="dataset", local_dir=folder)
    except (OSError, ValueError) as error:
        raise _unavailable(benchmark, _said(error)) from None
    return folder


def _said(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:160]


def _unavailable(benchmark: Benchmark, why: str) -> InvalidInput:
    page = f"{benchmark.licence}, {benchmark.home}" if benchmark.home else benchmark.licence
    gate = (
        "it is gated: accept the conditions on its page and log in with `hf auth login`, or " if benchmark.gated else ""
    )
    wanted = f"pass --data with its folder or file ({', '.join(benchmark.files)})"
    return InvalidInput(f"{benchmark.title} was not loaded: {why}; {gate}{wanted}. Licence and page: {page}")
