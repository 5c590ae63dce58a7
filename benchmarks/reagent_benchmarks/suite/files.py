"""Finds the files of a benchmark, and reads rows out of jsonl, json, csv and parquet."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from reagent_benchmarks.judging.rows import Row, read_rows
from reagent_benchmarks.suite.base import Benchmark
from reagent_sdk.errors import InvalidInput, MissingExtra


def files_of(benchmark: Benchmark, data: Path) -> list[Path]:
    """The files of a benchmark: the one that is given, or those in the folder or in one that it holds.

    Raises:
        InvalidInput: there are none.
    """
    if data.is_file():
        return [data]
    found = _in_folder(benchmark, data, benchmark.files)
    if not found:
        wanted = ", ".join(benchmark.files)
        problem = f"{data} holds no file of {benchmark.title}" if data.is_dir() else f"there is no {data}"
        raise InvalidInput(f"{problem}; pass --data with one of {wanted}, or a folder that holds it")
    return found


def corpus_of(benchmark: Benchmark, data: Path) -> Path | None:
    """The file for offline search that comes with a benchmark; None for a benchmark without one.

    Args:
        benchmark: whose.
        data: what the benchmark was loaded from.

    Raises:
        InvalidInput: the benchmark has one, and it is not there.
    """
    if not benchmark.corpus:
        return None
    folder = data.parent if data.is_file() else data
    found = _in_folder(benchmark, folder, (benchmark.corpus,))
    if not found:
        raise InvalidInput(f"{folder} holds no {benchmark.corpus}, which {benchmark.title} searches in; put it there")
    return found[0]


def _in_folder(benchmark: Benchmark, folder: Path, patterns: tuple[str, ...]) -> list[Path]:
    for place in (folder, *(folder / name for name in benchmark.folders)):
        for pattern in patterns:
            if found := sorted(path for path in place.glob(pattern) if path.is_file()):
                return found
    return []


def rows_of(file: Path) -> list[Row]:
    """The rows of a file.

    Raises:
        InvalidInput: it is of another kind, damaged or empty.
        MissingExtra: it is Parquet, and `pyarrow` is not installed.
    """
    reader = _READERS.get(file.suffix.lower())
    if reader is None:
        raise InvalidInput(f"{file} cannot be read: a set is a {', '.join(_READERS)} file")
    try:
        rows = list(reader(file))
    except OSError as error:
        raise InvalidInput(f"cannot read {file}: {error.strerror or error}") from None
    if not rows:
        raise InvalidInput(f"{file} holds no rows; it may have been cut off while it was downloaded")
    return rows


def _json(file: Path) -> Iterator[Row]:
    """A list of objects, or one object a line as in a jsonl file."""
    if not file.read_text(encoding="utf-8", errors="replace").lstrip("\ufeff \t\r\n").startswith("["):
        yield from read_rows(file)
        return
    try:
        listed = json.loads(file.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{file} is not JSON ({error})") from None
    for number, data in enumerate(listed, start=1):
        if not isinstance(data, dict):
            raise InvalidInput(f"{file}, row {number}: a JSON object is needed, not {type(data).__name__}")
        yield Row(data, file, number, "row")


def _csv(file: Path) -> Iterator[Row]:
    number = 0
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            for number, data in enumerate(csv.DictReader(lines), start=1):
                if None in data:
                    raise InvalidInput(f"{file}, row {number}: it has more cells than the file has columns")
                yield Row(dict(data), file, number, "row")
    except (csv.Error, UnicodeDecodeError) as error:
        raise InvalidInput(f"{file}, after row {number}: not a csv file in UTF-8 ({error})") from None


def _parquet(file: Path) -> Iterator[Row]:
    parquet, problem = _arrow()
    try:
        with parquet.ParquetFile(file) as opened:
            number = 0
            for batch in opened.iter_batches(batch_size=256):
                for data in batch.to_pylist():
                    number += 1
                    yield Row(data, file, number, "row")
    except problem as error:
        raise InvalidInput(f"cannot read {file}: damaged or cut off ({str(error).splitlines()[0]:.120})") from None


def _arrow() -> tuple[Any, type[Exception]]:
    try:
        from pyarrow import ArrowException, parquet  # type: ignore[import-untyped]
    except ImportError:
        raise MissingExtra("a Parquet file", "data") from None
    return parquet, ArrowException


_READERS: dict[str, Callable[[Path], Iterator[Row]]] = {
    ".jsonl": read_rows,
    ".json": _json,
    ".csv": _csv,
    ".parquet": _parquet,
}
