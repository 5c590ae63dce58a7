"""Loads a benchmark's items."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from reagent_benchmarks.judging.rows import Row
from reagent_benchmarks.suite.base import Benchmark, BenchmarkItem
from reagent_benchmarks.suite.files import files_of, rows_of
from reagent_benchmarks.suite.hub import hub_files, hub_rows
from reagent_benchmarks.suite.registry import benchmark
from reagent_sdk.errors import InvalidInput


def load(
    name: str | Benchmark,
    *,
    data: Path | None = None,
    limit: int | None = None,
    seed: int = 0,
    everything: bool = False,
    left_out: Counter[str] | None = None,
) -> list[BenchmarkItem]:
    """The items of a benchmark: all in the order of the set, or a sample in random order.

    Args:
        name: which benchmark.
        data: its file, or a folder that holds it; by default the Hugging Face hub is asked.
        limit: how many items to draw; the first `n` of a larger draw with the same seed are the draw of `n`.
        seed: of the draw.
        everything: keep items that a plain run passes over, such as questions with an image.
        left_out: counts what was passed over, by reason.

    Raises:
        InvalidInput: there is no such benchmark or file, the hub does not give it, or a row is malformed.
        MissingExtra: what reads the file or the hub is not installed.
    """
    if limit is not None and limit < 1:
        raise InvalidInput(f"a limit of {limit} leaves nothing to do; pass at least 1")
    wanted = benchmark(name) if isinstance(name, str) else name
    items = []
    for item in wanted.read(_rows(wanted, data)):
        if not item.left_out or (everything and item.left_out != "repeated questions"):
            items.append(item)
        elif left_out is not None:
            left_out[item.left_out] += 1
    if not items:
        raise InvalidInput(f"nothing of {wanted.title} is left: every question there is of a kind that is left out")
    count = limit if limit is not None else wanted.sample
    return drawn(items, count, seed) if count is not None else items


def drawn(items: Sequence[BenchmarkItem], limit: int, seed: int) -> list[BenchmarkItem]:
    """A random sample by question: what is drawn depends on the questions and the seed, not on where they stand."""

    def lot(item: BenchmarkItem) -> tuple[bytes, str]:
        return hashlib.sha256(f"{seed}:{item.group}".encode()).digest(), item.id

    return sorted(items, key=lot)[:limit]


def _rows(wanted: Benchmark, data: Path | None) -> list[Row]:
    if data is None and not (wanted.repository and wanted.hub_id):
        return hub_rows(wanted)
    place = hub_files(wanted) if data is None else data.expanduser()
    return [row for file in files_of(wanted, place) for row in rows_of(file)]
