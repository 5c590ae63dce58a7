"""The folder of downloaded weights: what is in it, and what of it is known to be whole.

Each model has a folder of its own: `models/NAME/FILE`. A stamp beside the file records what was verified and the size
and time of the file at that moment, so that starting up does not hash a hundred megabytes each time. Where the stamp
does not speak for the file (a copy, an edit, a crash in between) the file is hashed once more.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import ValidationError

from reagent_sdk import home
from reagent_sdk.errors import WeightsUnavailable
from reagent_sdk.frozen import Frozen
from reagent_sdk.models import registry
from reagent_sdk.models.registry import KnownModel

TEMPORARY = ".pull-"


class Stamp(Frozen):
    """What was true of a weights file when its checksum was last computed."""

    sha256: str
    size: int
    mtime_ns: int
    source: str


class Installed(Frozen):
    """One model on this machine."""

    name: str
    path: Path
    size: int
    verified: bool
    licence: str
    source: str


def folder_of(name: str) -> Path:
    """The folder of a model; may not exist yet.

    Raises:
        WeightsUnavailable: the name is not a plain folder name.
    """
    if name in ("", ".", "..") or Path(name).name != name or "\\" in name:
        raise WeightsUnavailable(f"{name!r} is not the name of a model")
    return home.models_dir() / name


def sha256_of(path: Path) -> str:
    """The file's SHA-256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verified(model: KnownModel) -> Path | None:
    """The model's file when it is whole, else None."""
    path = folder_of(model.name) / model.file
    if not path.is_file() or path.stat().st_size != model.size:
        return None
    stamp = read_stamp(path)
    if _vouched(model, path, stamp):
        return path
    if sha256_of(path) != model.sha256:
        return None
    with contextlib.suppress(OSError):  # a read-only cache is fine: it is hashed again next time
        write_stamp(path, model.sha256, stamp.source if stamp else "copied here")
    return path


def install(model: KnownModel, fetched: Path, source: str) -> Path:
    """Moves a verified file of the same file system into place, in one step."""
    path = folder_of(model.name) / model.file
    with fetched.open("rb+") as file:
        os.fsync(file.fileno())
    os.replace(fetched, path)
    write_stamp(path, model.sha256, source)
    return path


def _vouched(model: KnownModel, path: Path, stamp: Stamp | None) -> bool:
    """Whether the stamp was made for this model and for the file as it lies there now."""
    status = path.stat()
    return stamp is not None and (stamp.sha256, stamp.size, stamp.mtime_ns) == (
        model.sha256,
        status.st_size,
        status.st_mtime_ns,
    )


def stamp_path(path: Path) -> Path:
    """Where the stamp of a weights file lies."""
    return path.with_name(path.name + ".verified.json")


def read_stamp(path: Path) -> Stamp | None:
    """The stamp of a weights file; None when there is none or it is damaged."""
    try:
        return Stamp.model_validate_json(stamp_path(path).read_bytes())
    except (OSError, ValidationError):
        return None


def write_stamp(path: Path, sha256: str, source: str) -> None:
    """Records that the file as it lies there has this checksum."""
    status = path.stat()
    stamp = Stamp(sha256=sha256, size=status.st_size, mtime_ns=status.st_mtime_ns, source=source)
    draft = stamp_path(path).with_suffix(".tmp")
    draft.write_text(stamp.model_dump_json(), encoding="utf-8")
    os.replace(draft, stamp_path(path))


@contextlib.contextmanager
def locked(name: str, on_wait: Callable[[], None]) -> Iterator[Path]:
    """Holds the model's lock against other processes; a killed holder loses it. Yields the model's folder.

    Folders of interrupted pulls are cleared: whoever holds the lock knows that nobody uses them any more.
    """
    folder = folder_of(name)
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.with_name(f".{name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        on_wait()
        lock.acquire()
    try:
        folder.mkdir(exist_ok=True)  # the former holder may have removed the model
        for left_over in folder.glob(f"{TEMPORARY}*"):
            shutil.rmtree(left_over, ignore_errors=True)
        yield folder
    finally:
        lock.release()


def installed() -> list[Installed]:
    """All models in the weights folder, by name; without hashing anything."""
    root = home.models_dir()
    folders = sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    return [_describe(folder.name, file) for folder in folders for file in sorted(folder.glob("*.gguf"))]


def _describe(name: str, path: Path) -> Installed:
    model, stamp = registry.KNOWN.get(name), read_stamp(path)
    return Installed(
        name=name,
        path=path,
        size=path.stat().st_size,
        verified=model is not None and _vouched(model, path, stamp),
        licence=model.licence if model else "unknown",
        source=stamp.source if stamp else "unknown",
    )


def remove(name: str) -> int:
    """Deletes a model from this machine and returns the bytes freed.

    Raises:
        WeightsUnavailable: no such model is installed.
    """
    folder = folder_of(name)
    if not folder.is_dir():
        raise WeightsUnavailable(f"{name!r} is not installed")
    with locked(name, lambda: None):
        freed = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        shutil.rmtree(folder)
    return freed
