"""Read-only connections to a corpus file, lent to one thread at a time."""

from __future__ import annotations

import sqlite3
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reagent_sdk.errors import InvalidInput
from reagent_sdk.tools.corpus import schema

_IDLE = 8
"""Connections kept for later; more are opened while more threads search at once."""


class Pool:
    """Opens connections when they are needed, and closes what is left when it is dropped.

    Args:
        path: the corpus file.

    Raises:
        InvalidInput: the file is missing or is no corpus.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._idle: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        weakref.finalize(self, _close_all, self._idle, self._lock)
        with self.borrowed():  # says at once what is wrong with the file
            pass

    @contextmanager
    def borrowed(self) -> Iterator[sqlite3.Connection]:
        """A connection for the `with` block."""
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        connection = connection or _connect(self._path)
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        with self._lock:
            kept = len(self._idle) < _IDLE
            if kept:
                self._idle.append(connection)
        if not kept:
            connection.close()

    def close(self) -> None:
        """Closes the idle connections."""
        _close_all(self._idle, self._lock)


def _close_all(idle: list[sqlite3.Connection], lock: threading.Lock) -> None:
    with lock:
        while idle:
            idle.pop().close()


def _connect(path: Path) -> sqlite3.Connection:
    if not path.is_file():
        raise InvalidInput(f"there is no corpus file {path}; `reagent corpus build SOURCE --out {path}` makes one")
    # Immutable: nobody changes a finished corpus, so there is no need for locks or for write access to its folder.
    address = f"{path.resolve().as_uri()}?mode=ro&immutable=1"
    connection = None
    try:
        connection = sqlite3.connect(address, uri=True, check_same_thread=False)
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        wrong = "" if application == schema.APPLICATION_ID else "it is another kind of database"
        if not wrong and version != schema.VERSION:
            wrong = f"its format is {version}, and this version reads {schema.VERSION}"
    except sqlite3.Error as error:
        wrong = f"it cannot be read as a database ({error})"
    if wrong or connection is None:
        if connection is not None:
            connection.close()
        raise InvalidInput(f"{path} is no corpus: {wrong}; `reagent corpus build` makes one")
    return connection
