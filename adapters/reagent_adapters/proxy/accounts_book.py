"""The keys that are in force: found in constant time, and read anew when their file changes."""

from __future__ import annotations

import hashlib
import hmac
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from reagent_adapters.proxy.key_file import KeyEntry, read_keys
from reagent_sdk.errors import InvalidInput
from reagent_sdk.serving.log import EventLog

_EVERY = 1.0
"""Seconds between two looks at the file."""

_Stamp: TypeAlias = tuple[int, int, int, int]


class KeyBook:
    """Finds the entry that a key belongs to.

    Args:
        entries: what is in force, at least one.
        path: the file that they came from. It is looked at once a second at most, when a request comes; a changed
            one takes their place, and one that cannot be read or is wrong changes nothing and is logged.
        log: where that is written.
        clock: seconds, for tests.

    Raises:
        InvalidInput: there are no entries.
    """

    def __init__(
        self,
        entries: Sequence[KeyEntry],
        *,
        path: Path | None = None,
        log: EventLog | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not entries:
            raise InvalidInput("a key book needs at least one entry")
        self._entries = tuple(entries)
        self._path = path
        self._log = log or EventLog()
        self._clock = clock
        self._looked = clock()
        self._stamp = _stamp(path)

    @classmethod
    def from_file(
        cls, path: Path, *, log: EventLog | None = None, clock: Callable[[], float] = time.monotonic
    ) -> KeyBook:
        """The keys of a file, which is followed from then on.

        Raises:
            InvalidInput: it cannot be read, or an entry is wrong.
        """
        path = path.expanduser()
        stamp = _stamp(path)  # before the file is read: a change in between is seen at the next look
        book = cls(read_keys(path), path=path, log=log, clock=clock)
        book._stamp = stamp
        return book

    @property
    def entries(self) -> tuple[KeyEntry, ...]:
        """What is in force."""
        return self._entries

    def find(self, key: bytes) -> KeyEntry | None:
        """The entry of a key, also when it has expired; None when there is none."""
        self._refresh()
        digest = hashlib.sha256(key).digest()
        found = None
        for entry in self._entries:  # all of them: which one it was must not show in the time it takes
            for known in entry.digests:
                if hmac.compare_digest(known, digest):
                    found = entry
        return found

    def _refresh(self) -> None:
        if self._path is None or self._clock() - self._looked < _EVERY:
            return
        self._looked = self._clock()
        stamp = _stamp(self._path)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._entries = read_keys(self._path)
        except InvalidInput as error:
            self._log.write("keys-kept", error=error)
        else:
            self._log.write("keys-read", entries=len(self._entries))


def _stamp(path: Path | None) -> _Stamp | None:
    try:
        found = os.stat(path) if path else None
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino, found.st_dev) if found else None
