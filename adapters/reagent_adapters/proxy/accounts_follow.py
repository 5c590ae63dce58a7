"""What a file says, read anew when the file changes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeAlias, TypeVar

from reagent_sdk.errors import InvalidInput
from reagent_sdk.serving.log import EventLog

_EVERY = 1.0
"""Seconds between two looks at the file."""

_T = TypeVar("_T")
_Stamp: TypeAlias = tuple[int, int, int, int]


class Followed(Generic[_T]):
    """What a file says now.

    The file is looked at once a second at most, when somebody asks. A changed one takes effect; one that cannot be read
    or is wrong changes nothing and is logged.

    Args:
        path: the file.
        read: reads it; raises `InvalidInput` when it is wrong.
        name: what its events in the log begin with.
        log: where that is written.
        clock: seconds, for tests.

    Raises:
        InvalidInput: it cannot be read, or is wrong.
    """

    def __init__(
        self,
        path: Path,
        read: Callable[[Path], _T],
        name: str,
        *,
        log: EventLog | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path.expanduser()
        self._read = read
        self._name = name
        self._log = log or EventLog()
        self._clock = clock
        self._looked = clock()
        self._stamp = _stamp(self._path)  # before the file is read: a change in between is seen at the next look
        self._held = read(self._path)

    @property
    def held(self) -> _T:
        """What it said when it was last read."""
        return self._held

    def now(self) -> _T:
        """What it says."""
        if self._clock() - self._looked < _EVERY:
            return self._held
        self._looked = self._clock()
        stamp = _stamp(self._path)
        if stamp == self._stamp:
            return self._held
        self._stamp = stamp
        try:
            self._held = self._read(self._path)
        except InvalidInput as error:
            self._log.write(f"{self._name}-kept", error=error)
        else:
            size = {"entries": len(self._held)} if isinstance(self._held, tuple) else {}
            self._log.write(f"{self._name}-read", **size)
        return self._held


def _stamp(path: Path) -> _Stamp | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino, found.st_dev
