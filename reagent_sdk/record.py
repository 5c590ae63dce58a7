"""The run log: an append-only JSONL file, one run a line, shared by many writers.

Each append takes an inter-process lock on `<path>.lock` (the operating system frees it when a writer dies), closes a
line that a killed writer left torn, then writes the whole record. A torn line costs that record only. Nothing is
synced to the disk: the log survives the death of its writers, not a power cut in the same second.
"""

from __future__ import annotations

import errno
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import BinaryIO

from reagent_sdk.errors import InvalidInput, ReagentError
from reagent_sdk.record_line import DamagedRecord, decode, encode
from reagent_sdk.run import Run

WRITE_WAIT = 60.0
"""Seconds an append waits for the other writers."""
READ_WAIT = 2.0
"""Seconds a reader waits for a writer that is in the middle of the last line."""
"""Characters of a damaged record's reason."""

_CALLER_ERRNOS = frozenset({errno.ENOENT, errno.EROFS, errno.ENAMETOOLONG, errno.ELOOP, errno.ESPIPE, errno.EINVAL})


class RunLog:
    """An append-only file of runs. Safe for many threads and processes; holds nothing open between calls."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).expanduser()

    def append(self, run: Run) -> None:
        """Adds one run at the end. The file is created readable by its owner only, with missing parent folders.

        Values in `metadata` that JSON does not know are stored as their text.

        Raises:
            InvalidInput: the path cannot be written, or the run nests too deeply for JSON.
            ReagentError: writing failed (a full disk leaves the log as it was), or another process kept the lock.
        """
        line = encode(run)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # Before the lock, so that a path which cannot be written leaves no lock file behind.
            fd = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                with self._lock(WRITE_WAIT):
                    _write_whole(fd, line)
            finally:
                os.close(fd)
        except OSError as error:
            raise _failure("write", self.path, error) from error

    async def aappend(self, run: Run) -> None:
        """Does the same in a worker thread. A cancelled caller still leaves a whole record.

        Raises:
            InvalidInput: as :meth:`append`.
            ReagentError: as :meth:`append`.
        """
        from anyio import to_thread

        await to_thread.run_sync(self.append, run)

    def read(self) -> Iterator[Run]:
        """The runs in the order they were added, damaged lines skipped. A file that is not there holds none.

        Raises:
            InvalidInput: the path cannot be read.
        """
        return (record for record in self.scan() if isinstance(record, Run))

    def scan(self, progress: Callable[[int], None] | None = None) -> Iterator[Run | DamagedRecord]:
        """The runs, and in their place what could not be read. Reads line by line; blank lines are passed over.

        Args:
            progress: told after each line how many bytes of the file were read.

        Raises:
            InvalidInput: the path cannot be read.
            ReagentError: reading failed.
        """
        offset = 0
        for number, line in enumerate(self._lines(), start=1):
            if line.strip():
                yield decode(line, number, offset)
            offset += len(line)
            if progress is not None:
                progress(offset)

    def get(self, id_or_prefix: str) -> Run:
        """The run with this id, or the only one whose id begins so. Of records with one id, the latest.

        Raises:
            InvalidInput: no such run, more than one, or the path cannot be read.
        """
        if not id_or_prefix:
            raise InvalidInput("the run id is empty: pass an id or the first characters of one")
        exact: Run | None = None
        match: Run | None = None
        ids: set[str] = set()
        for run in self.read():
            if run.id == id_or_prefix:
                exact = run
            elif run.id.startswith(id_or_prefix):
                match = run
                ids.add(run.id)
        if exact is not None:
            return exact
        if match is None:
            raise InvalidInput(f"no run {id_or_prefix!r} in {self.path}: list its runs to see their ids")
        if len(ids) > 1:
            shown = ", ".join(sorted(ids)[:3]) + (", ..." if len(ids) > 3 else "")
            raise InvalidInput(f"{len(ids)} runs begin with {id_or_prefix!r} ({shown}): give more characters of the id")
        return match

    def _lines(self) -> Iterator[bytes]:
        try:
            with self.path.open("rb") as file:
                while line := file.readline():
                    yield line if line.endswith(b"\n") else self._settled(file, line)
        except FileNotFoundError:
            return
        except OSError as error:
            raise _failure("read", self.path, error) from error

    def _settled(self, file: BinaryIO, line: bytes) -> bytes:
        """The last line again, once no writer is in the middle of it; as it is when that takes too long."""
        if not self._lock_path.exists():
            return line
        with suppress(OSError), self._lock(READ_WAIT):
            file.seek(-len(line), os.SEEK_CUR)
            return file.readline()
        return line

    @property
    def _lock_path(self) -> Path:
        return self.path.with_name(self.path.name + ".lock")

    def _lock(self, timeout: float) -> AbstractContextManager[object]:
        # A file of its own: locks on the log itself would keep readers out on some systems. A new object each time:
        # threads then exclude one another as processes do.
        from filelock import FileLock

        return FileLock(self._lock_path, timeout=timeout, mode=0o600)


def _write_whole(fd: int, line: bytes) -> None:
    end = os.lseek(fd, 0, os.SEEK_END)
    if end:
        os.lseek(fd, -1, os.SEEK_END)
        if os.read(fd, 1) != b"\n":
            line = b"\n" + line  # a killed writer's fragment becomes a line of its own
    rest = memoryview(line)
    try:
        while rest:
            rest = rest[os.write(fd, rest) :]
    except BaseException:
        # A full disk or an interrupt: take back the half-written record while the lock is ours.
        with suppress(OSError):
            os.ftruncate(fd, end)
        raise


def _failure(verb: str, path: Path, error: OSError) -> ReagentError:
    if isinstance(error, TimeoutError):
        return ReagentError(f"cannot {verb} the run log {path}: another process has held its lock for too long")
    why = error.strerror or str(error)
    caller = isinstance(error, PermissionError | IsADirectoryError | NotADirectoryError | FileExistsError)
    if caller or error.errno in _CALLER_ERRNOS:
        return InvalidInput(f"cannot {verb} the run log {path}: {why}; pass the path of a file that you may {verb}")
    return ReagentError(f"cannot {verb} the run log {path}: {why}")


async def append_safely(log: RunLog, run: Run) -> None:
    """Appends a run even when the caller is being cancelled. A log that cannot be written must not cost the answer."""
    import anyio

    try:
        with anyio.CancelScope(shield=True):
            await log.aappend(run)
    except ReagentError as error:
        warnings.warn(f"run {run.id} was not logged: {error}", RuntimeWarning, stacklevel=2)
