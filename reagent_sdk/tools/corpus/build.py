"""Builds the file of an offline corpus."""

from __future__ import annotations

import glob
import os
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from reagent_sdk.errors import InvalidInput
from reagent_sdk.frozen import Frozen
from reagent_sdk.tools.corpus.files import list_files, read_file
from reagent_sdk.tools.corpus.jsonl import Fields, Source
from reagent_sdk.tools.corpus.writer import Writer, create

_ABANDONED = 24 * 3600
"""Seconds after which an unfinished file belongs to a build that was killed."""
_STEP = 2**20


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a build is. `bytes` of `total_bytes` were read; they are equal while the index is being optimised."""

    bytes: int
    total_bytes: int
    documents: int


class BuildReport(Frozen):
    """What a build wrote, and what it left out."""

    path: Path
    files: int
    documents: int
    passages: int
    duplicates: int
    empty: int
    renamed: int
    bytes: int
    seconds: float


def build_corpus(
    sources: Sequence[str | Path],
    out: str | Path,
    *,
    fields: Fields | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> BuildReport:
    """Builds a corpus out of JSONL files, of text, Markdown and HTML files, and of folders of these.

    The file appears when it is complete, and replaces an older one in one step: readers see the old corpus or the new
    one, and a build that fails leaves nothing behind. Files are read as streams, so they may be larger than memory.

    Args:
        sources: files and folders.
        out: the file to write.
        fields: which fields of JSONL rows are meant; by default the usual names are looked for.
        progress: called about once per MiB read, and at the end.

    Raises:
        InvalidInput: a source cannot be read, or there is not one document; the message names file and line.
        MissingExtra: there is HTML, and the `tools` extra is not installed.
        OSError: the file cannot be written.
    """
    began = time.monotonic()
    out = Path(out)
    if out.is_dir():
        raise InvalidInput(f"{out} is a folder; name the file to write")
    files = list_files([Path(source) for source in sources])
    if any(os.path.realpath(path) == os.path.realpath(out) for path, _ in files):
        raise InvalidInput(f"{out} is one of the sources; name another file to write")
    out.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(out)
    with _replacing(out) as part:
        with closing(create(part)) as database:
            writer = Writer(database)
            total = sum(path.stat().st_size for path, _ in files)
            _fill(writer, _documents(files, fields or Fields()), total, progress)
            if not writer.documents:
                raise InvalidInput("the sources hold no text; nothing was written")
            writer.finish()
        return BuildReport(
            path=out,
            files=len(files),
            documents=writer.documents,
            passages=writer.passages,
            duplicates=writer.duplicates,
            empty=writer.empty,
            renamed=writer.renamed,
            bytes=part.stat().st_size,
            seconds=time.monotonic() - began,
        )


def _documents(files: list[tuple[Path, Path]], fields: Fields) -> Iterator[Source]:
    for path, base in files:
        yield from read_file(path, base, fields)


def _fill(writer: Writer, documents: Iterator[Source], total: int, progress: Callable[[Progress], None] | None) -> None:
    done = told = 0
    for document in documents:
        writer.add(document)
        done += document.bytes
        if progress and done - told >= _STEP:
            told = done
            progress(Progress(min(done, total), total, writer.documents))
    if progress:
        progress(Progress(total, total, writer.documents))


@contextmanager
def _replacing(out: Path) -> Iterator[Path]:
    """A file beside `out` that takes its place at the end, or goes."""
    handle, name = tempfile.mkstemp(prefix=f".{out.name}.", suffix=".part", dir=out.parent)
    os.close(handle)
    part = Path(name)
    try:
        try:
            yield part
        except sqlite3.Error as error:  # such as a full disk
            raise OSError(f"{out} cannot be written: {error}") from error
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.chmod(out.stat().st_mode & 0o777 if out.exists() else 0o644)  # it was made for the owner only
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)


def _remove_abandoned(out: Path) -> None:
    for part in out.parent.glob(f".{glob.escape(out.name)}.*.part"):
        if time.time() - part.stat().st_mtime > _ABANDONED:
            part.unlink(missing_ok=True)
