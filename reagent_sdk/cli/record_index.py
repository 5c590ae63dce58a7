"""Which records a file holds and which of them have a verdict, in memory that does not grow with the file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

_CACHE_KIB = 8 * 1024
"""What SQLite keeps in memory; the rest goes to a temporary file that has no name and so cannot be left behind."""


@dataclass(frozen=True)
class Place:
    """Where a record stands in its file: the line's number, from 1, and its first byte and length."""

    id: str
    line: int
    start: int
    size: int


class RecordIndex:
    """An index of record ids on disk; as a mapping, it gives the line of each id. Lives as long as the object."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None)
        for statement in (
            f"PRAGMA cache_size = -{_CACHE_KIB}",
            "PRAGMA journal_mode = OFF",  # nothing is ever rolled back, and nothing outlives the process
            "PRAGMA synchronous = OFF",
            "CREATE TABLE record (line INTEGER PRIMARY KEY, id TEXT UNIQUE, start INTEGER, size INTEGER, wanted)",
            "CREATE TABLE verdict (id TEXT PRIMARY KEY, line INTEGER) WITHOUT ROWID",
            "BEGIN",
        ):
            self._db.execute(statement)
        self._start = self._size = self._latest = 0

    def lines(self, file: BinaryIO) -> Iterator[bytes]:
        """The file's lines. What is put into the mapping meanwhile stands in the line that was given last."""
        file.seek(0)
        self._start = self._size = 0
        for line in file:
            self._start, self._size = self._start + self._size, len(line)
            yield line

    def __contains__(self, key: str) -> bool:
        return self._line(key) is not None

    def __getitem__(self, key: str) -> int:
        line = self._line(key)
        if line is None:
            raise KeyError(key)
        return line

    def __setitem__(self, key: str, line: int) -> None:
        self._db.execute("INSERT INTO record VALUES (?, ?, ?, ?, 1)", (line, key, self._start, self._size))
        self._latest = line

    def leave_out(self) -> None:
        """The record that was put in last is not to be judged."""
        self._db.execute("UPDATE record SET wanted = 0 WHERE line = ?", (self._latest,))

    def heard(self, key: str, line: int) -> bool:
        """Notes the verdict in a line of the file of verdicts; False if the id has one in another line already."""
        self._db.execute("INSERT OR IGNORE INTO verdict VALUES (?, ?)", (key, line))
        return self.counts(key, line)

    def counts(self, key: str, line: int) -> bool:
        """Whether the verdict in this line is the one that was noted for the id."""
        return self._db.execute("SELECT 1 FROM verdict WHERE id = ? AND line = ?", (key, line)).fetchone() is not None

    def settle(self, key: str) -> bool:
        """Notes that the record gets its verdict now; False if it has one already."""
        return self._db.execute("INSERT OR IGNORE INTO verdict VALUES (?, NULL)", (key,)).rowcount == 1

    @property
    def n_wanted(self) -> int:
        """How many records are to have a verdict."""
        return self._count("wanted")

    @property
    def n_missing(self) -> int:
        """How many of them have none."""
        return self._count(f"wanted AND {_MISSING}")

    def missing(self) -> Iterator[Place]:
        """The records that have none yet, in the order of the file."""
        rows = self._db.execute(f"SELECT id, line, start, size FROM record WHERE wanted AND {_MISSING} ORDER BY line")  # noqa: S608 - of constants
        return (Place(*row) for row in rows)

    def close(self) -> None:
        """Frees the index."""
        self._db.close()

    def _line(self, key: str) -> int | None:
        found = self._db.execute("SELECT line FROM record WHERE id = ?", (key,)).fetchone()
        return None if found is None else int(found[0])

    def _count(self, condition: str) -> int:
        (count,) = self._db.execute(f"SELECT COUNT(*) FROM record WHERE {condition}").fetchone()  # noqa: S608 - of constants
        return int(count)


_MISSING = "NOT EXISTS (SELECT 1 FROM verdict WHERE verdict.id = record.id)"
