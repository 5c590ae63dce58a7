"""Records as JSON lines, plain or compressed."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO

from reagent_sdk.errors import InvalidInput, MissingExtra
from reagent_training.data.record import LabelledTrajectory, as_record

_LEVEL = 6


def read_records(path: Path) -> Iterator[LabelledTrajectory]:
    """The records of a file; blank lines are passed over and count as rows, so that a row is the line's number.

    Raises:
        InvalidInput: the file cannot be read or is cut off, or a line is not a record.
    """
    for number, data in read_objects(path):
        yield as_record(data, f"{path}, row {number}")


def read_objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The JSON objects of a file with the numbers of their lines, from 1.

    Raises:
        InvalidInput: the file cannot be read or is cut off, or a line is not a JSON object.
    """
    number = 0
    try:
        with _opened(path) as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield number, _object(line, f"{path}, row {number}")
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InvalidInput(f"{path}, after row {number}: the file is damaged or cut off ({error})") from None
    except OSError as error:
        what = error.strerror or f"damaged or cut off ({error})"
        raise InvalidInput(f"cannot read {path}, after row {number}: {what}") from None


def write_records(records: Iterable[LabelledTrajectory], file: BinaryIO, path: Path) -> int:
    """Writes records, one a line; returns how many.

    Args:
        records: in order.
        file: takes the bytes.
        path: its name, which tells how to compress.

    Raises:
        InvalidInput: a record holds what JSON cannot carry.
    """
    count = 0
    with _compressing(file, path) as out:
        for count, record in enumerate(records, start=1):
            try:
                line = json.dumps(record.model_dump(mode="json"), ensure_ascii=False, allow_nan=False)
                out.write(line.encode() + b"\n")
            except ValueError as error:  # NaN, or half a surrogate pair
                raise InvalidInput(f"{path}, row {count}: JSON cannot carry it ({error})") from None
    return count


def _object(line: bytes, where: str) -> dict[str, Any]:
    try:
        data = json.loads(line.decode(), parse_constant=_no_constant)
    except UnicodeDecodeError:
        raise InvalidInput(f"{where}: not UTF-8 text") from None
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{where}: not JSON ({error})") from None
    if not isinstance(data, dict):
        raise InvalidInput(f"{where}: a JSON object is needed, not {type(data).__name__}")
    return data


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number that JSON knows")


@contextmanager
def _opened(path: Path) -> Iterator[Iterable[bytes]]:
    if path.name.endswith(".gz"):
        with gzip.open(path, "rb") as lines:
            yield lines
    elif path.name.endswith(".zst"):
        with _arrow().CompressedInputStream(str(path), "zstd") as stream, io.BufferedReader(stream) as lines:
            yield lines
    else:
        with path.open("rb") as lines:
            yield lines


@contextmanager
def _compressing(file: BinaryIO, path: Path) -> Iterator[IO[bytes]]:
    if path.name.endswith(".gz"):
        # Without name and time, so that the same rows give the same bytes.
        with gzip.GzipFile(filename="", mode="wb", compresslevel=_LEVEL, fileobj=file, mtime=0) as out:
            yield out  # type: ignore[misc]  # a file in all but name
    elif path.name.endswith(".zst"):
        with _arrow().CompressedOutputStream(file, "zstd") as out:
            yield out
    else:
        yield file


def _arrow() -> Any:
    """Arrow's zstd and not `zstandard`: that one takes a file that is cut off for a whole one."""
    try:
        import pyarrow  # type: ignore[import-untyped]
    except ImportError:
        raise MissingExtra("a file that ends with .zst", "training") from None
    return pyarrow
