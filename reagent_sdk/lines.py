"""A file of lines that a process adds to as it goes, and that the next one goes on from after a kill."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


class LineFile:
    """Whole lines, for one process at a time.

    A line is kept once `append` returns, whatever becomes of the process; after a power cut the last ones may be gone.
    What a killed process left of a line is never read, and the next line is written over it.

    Args:
        path: the file; it is made with its folder when the first line is added.
        mode: permissions of a file that is made.
    """

    def __init__(self, path: Path, *, mode: int = 0o644) -> None:
        self.path = path
        self._mode = mode
        self._end: int | None = None

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """Where each line begins, and the line without its end; none where there is no file."""
        place = 0
        with suppress(FileNotFoundError), self.path.open("rb") as file:
            for line in file:
                if line.endswith(b"\n"):
                    yield place, line[:-1]
                    place += len(line)
        if self._end is None:  # who has read all of it need not look for the end again
            self._end = place

    def at(self, place: int) -> bytes:
        """The line that begins at a place."""
        with self.path.open("rb") as file:
            file.seek(place)
            return file.readline()[:-1]

    def append(self, line: bytes) -> int:
        """Adds a line and returns where it begins.

        Raises:
            ValueError: it holds the end of a line.
            OSError: it could not be written; the next call writes over what there is of it.
        """
        if b"\n" in line:
            raise ValueError("one line at a time")
        if self._end is None:
            self._end = sum(len(one) + 1 for _, one in self)
        place, rest = self._end, memoryview(line + b"\n")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(os.open(self.path, os.O_WRONLY | os.O_CREAT, self._mode), "wb", buffering=0) as file:
            file.truncate(place)
            file.seek(place)
            while rest:
                rest = rest[file.write(rest) :]
        self._end = place + len(line) + 1
        return place

    def remove(self) -> None:
        """Removes the file."""
        self.path.unlink(missing_ok=True)
        self._end = None
