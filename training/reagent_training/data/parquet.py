"""Records as Parquet, a row group at a time."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from reagent_sdk.errors import InvalidInput, MissingExtra
from reagent_training.data.columns import arrow_schema, from_row, to_row
from reagent_training.data.record import LabelledTrajectory, as_record

_ROWS = 256
"""Rows of a group: trajectories are long, and a reader holds one group in memory."""


def read_records(path: Path) -> Iterator[LabelledTrajectory]:
    """The records of a file.

    Raises:
        InvalidInput: the file cannot be read or is cut off, columns are missing, or a row is not a record.
    """
    for number, row in read_rows(path, arrow_schema().names if _arrow() else ()):
        where = f"{path}, row {number}"
        try:
            data = from_row(row)
        except (ValueError, TypeError, KeyError) as error:
            raise InvalidInput(f"{where}: not a row that this release wrote ({error!r:.80})") from None
        yield as_record(data, where)


def read_rows(path: Path, columns: Iterable[str] = ()) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows of any Parquet file with their numbers, from 1.

    Args:
        path: the file.
        columns: those that must be there; with none, whatever there is.

    Raises:
        InvalidInput: the file cannot be read or is cut off, or columns are missing.
    """
    arrow = _arrow()
    number = 0
    try:
        with arrow.parquet.ParquetFile(path) as file:
            if missing := set(columns) - set(file.schema_arrow.names):
                raise InvalidInput(f"{path}, row 1: the columns {', '.join(sorted(missing))} are missing")
            for batch in file.iter_batches(batch_size=_ROWS):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
    except (arrow.ArrowException, OSError) as error:
        what = getattr(error, "strerror", None) or f"damaged or cut off ({str(error).splitlines()[0]:.120})"
        raise InvalidInput(f"cannot read {path}, after row {number}: {what}") from None


def write_records(records: Iterable[LabelledTrajectory], file: BinaryIO, path: Path) -> int:
    """Writes records; returns how many.

    Args:
        records: in order.
        file: takes the bytes.
        path: its name, for messages.

    Raises:
        InvalidInput: a record holds what a column cannot carry.
    """
    arrow, schema, count = _arrow(), arrow_schema(), 0
    rows = _rows(records, path)
    with arrow.parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        while group := list(islice(rows, _ROWS)):
            writer.write_table(arrow.Table.from_pylist(group, schema=schema))
            count += len(group)
    return count


def _rows(records: Iterable[LabelledTrajectory], path: Path) -> Iterator[dict[str, Any]]:
    for number, record in enumerate(records, start=1):
        try:
            row = to_row(record)
            json.dumps(row, ensure_ascii=False).encode()  # here, where the row is known, and not in a whole group
        except ValueError as error:  # NaN, or half a surrogate pair
            raise InvalidInput(f"{path}, row {number}: a column cannot carry it ({error})") from None
        yield row


def _arrow() -> Any:
    try:
        import pyarrow  # type: ignore[import-untyped]
        import pyarrow.parquet  # type: ignore[import-untyped]
    except ImportError:
        raise MissingExtra("a Parquet file", "training") from None
    return pyarrow
