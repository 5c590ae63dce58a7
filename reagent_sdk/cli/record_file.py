"""A file of stored trajectories: checked as a whole first, then read record by record."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Self

from reagent_sdk.cli.record_index import RecordIndex
from reagent_sdk.records import Row, read_records


class RecordFile:
    """A file of records, and the index of it. Neither is held in memory. A context manager.

    Args:
        file: the file, able to go back to its beginning.
        name: its name, for messages.
        limit: how many records to judge at most.

    Attributes:
        index: which records there are, and which of them have a verdict.
        empty_runs: how many runs hold no attempt and so nothing to judge.
    """

    def __init__(self, file: BinaryIO, name: str, limit: int | None = None) -> None:
        self._file = file
        self._limit = limit
        self.name = name
        self.index = RecordIndex()
        self.empty_runs = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.index.close()

    def check(self) -> None:
        """Reads every line, also beyond the limit; then `index` knows the records to judge.

        Raises:
            InvalidInput: a line is malformed or repeats an id.
        """
        found = 0
        for record in read_records(self.index.lines(self._file), self.name, self.index):
            if record is None:
                self.empty_runs += 1
            else:
                found += 1
            if record is None or (self._limit is not None and found > self._limit):
                self.index.leave_out()

    def missing(self) -> Iterator[Row]:
        """The records that have no verdict yet, as they stand in the file."""
        for place in self.index.missing():
            self._file.seek(place.start)
            yield Row(place.id, place.line, self._file.read(place.size))
