"""Opens files below allowed folders and nowhere else.

A path is resolved, checked to lie below a root, and then opened from the root down, one component at a time, without
following links. A component that becomes a link between the check and the opening is refused instead of followed.
Links that stay below the root work, because resolving has already replaced them. POSIX only.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from reagent_sdk.errors import InvalidInput, ReagentError

_KERNEL = ("proc", "sys", "dev")
"""Folders of `/` whose files are views of the machine. They stay closed even when a root holds them."""

_TYPES = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISLNK, "a link that was put there while it was opened"),
)


class FileProblem(ReagentError):
    """A file cannot be used.

    Attributes:
        kind: what went wrong, such as "PathRefused" or "TooLarge"; the type that a tool's result names.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True)
class Opened:
    """An open regular file or folder: its descriptor, what it is, and its path below the root for people to read."""

    fd: int
    status: os.stat_result
    shown: str

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return stat.S_ISDIR(self.status.st_mode)

    @property
    def identity(self) -> tuple[int, ...]:
        """Changes when the file does."""
        status = self.status
        return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


class Roots:
    """Folders that may be read, with everything below them.

    Args:
        folders: the folders; a relative path is taken to lie below the first.

    Raises:
        InvalidInput: there is none, or one is not a folder.
    """

    def __init__(self, folders: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> None:
        given = [folders] if isinstance(folders, str | os.PathLike) else list(folders)
        if not given:
            raise InvalidInput("roots is empty; pass at least one folder whose files may be read")
        self._roots = tuple(Path(os.path.realpath(folder)) for folder in given)
        for folder in self._roots:
            if not folder.is_dir():
                raise InvalidInput(f"the root {folder} is not a folder")

    def __repr__(self) -> str:
        return f"Roots({', '.join(map(str, self._roots))})"

    @contextmanager
    def opened(self, path: str) -> Iterator[Opened]:
        """Opens a regular file or a folder for reading.

        Raises:
            FileProblem: of kind "PathRefused", "NotFound" or "NotReadable".
        """
        root, parts = self._below(path)
        shown = "/".join(parts) or "."
        try:
            fd = _walk(root, parts)
        except (FileNotFoundError, NotADirectoryError):
            raise FileProblem("NotFound", f"there is no file {shown!r}; the path '.' lists what there is") from None
        except OSError as error:
            raise FileProblem("NotReadable", f"{shown!r} cannot be read: {error.strerror}") from None
        try:
            yield Opened(fd, os.fstat(fd), shown)
        finally:
            os.close(fd)

    def split(self, path: str) -> tuple[str, tuple[str, ...]]:
        """The file of a path such as "archive.zip!member", and its members; a file may have a '!' in its own name."""
        parts = path.split("!")
        for count in range(len(parts), 1, -1):
            if self.exists(file := "!".join(parts[:count])):
                return file, tuple(parts[count:])
        return parts[0], tuple(parts[1:])

    def exists(self, path: str) -> bool:
        """Whether a file or folder of that name can be opened."""
        try:
            with self.opened(path):
                return True
        except FileProblem:
            return False

    def _below(self, path: str) -> tuple[Path, tuple[str, ...]]:
        try:
            resolved = Path(os.path.realpath(self._roots[0] / path))
        except (OSError, ValueError):  # a null byte, a lone surrogate, a name too long
            raise FileProblem("PathRefused", "the path is not a valid file name") from None
        for root in self._roots:
            if resolved.is_relative_to(root):
                if resolved.parts[1:2] and resolved.parts[1] in _KERNEL:
                    break
                return root, resolved.relative_to(root).parts
        raise FileProblem(
            "PathRefused",
            f"{path!r} lies outside the folder that may be read; give a path below it, such as 'notes.txt'. "
            "The path '.' lists what there is",
        )


def _walk(root: Path, parts: tuple[str, ...]) -> int:
    """Descriptor of the file at the end of `parts`, which hold no links."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(root, flags | os.O_DIRECTORY)
    for part in parts:
        try:
            # Looked at before it is opened, because opening alone can wake a device; and not waited for, because a
            # pipe could take its place in between.
            _refuse_special(os.stat(part, dir_fd=fd, follow_symlinks=False), part)
            below = os.open(part, flags | os.O_NONBLOCK, dir_fd=fd)
        finally:
            os.close(fd)
        fd = below
    try:
        _refuse_special(os.fstat(fd), parts[-1] if parts else ".")
    except FileProblem:
        os.close(fd)
        raise
    return fd


def _refuse_special(status: os.stat_result, name: str) -> None:
    if stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode):
        return
    what = next((name for test, name in _TYPES if test(status.st_mode)), "a special file")
    raise FileProblem("PathRefused", f"{name!r} is {what}; only regular files can be read")
