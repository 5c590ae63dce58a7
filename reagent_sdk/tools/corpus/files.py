"""Documents out of text, Markdown and HTML files, one by one or in folders."""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from reagent_sdk.errors import InvalidInput, MissingExtra
from reagent_sdk.tools.corpus.jsonl import Fields, Source, read_jsonl

_JSONL = {".jsonl", ".ndjson"}
_PLAIN = {".txt", ".text", ".md", ".markdown", ".rst"}
_HTML = {".html", ".htm", ".xhtml"}
_PART = 2**20
"""Characters after which a long file becomes a second document."""
_MAX_HTML = 32 * 2**20

_HEADING = re.compile(r"\A\s*#\s+(.+)")


def list_files(sources: Sequence[Path]) -> list[tuple[Path, Path]]:
    """All files to read, each with the folder that its id is relative to.

    In folders: text, Markdown and HTML, sorted by name, without hidden files and without links.

    Raises:
        InvalidInput: a source does not exist, is of an unknown kind, or holds nothing to read.
    """
    files: list[tuple[Path, Path]] = []
    for source in sources:
        if source.is_dir():
            found = list(_walk(source))
            if not found:
                raise InvalidInput(f"{source} holds no {_kinds(_PLAIN | _HTML)} files")
            files += [(path, source) for path in found]
        elif not source.exists():
            raise InvalidInput(f"there is no file or folder {source}")
        elif source.suffix.lower() not in _JSONL | _PLAIN | _HTML:
            raise InvalidInput(f"{source} is none of {_kinds(_JSONL | _PLAIN | _HTML)}, nor a folder of such files")
        else:
            files.append((source, source.parent))
    return files


def read_file(path: Path, base: Path, fields: Fields) -> Iterator[Source]:
    """The documents of one file.

    Raises:
        InvalidInput: the file cannot be read as what its name says.
        MissingExtra: it is HTML, and the `tools` extra is not installed.
    """
    kind = path.suffix.lower()
    if kind in _JSONL:
        yield from read_jsonl(path, fields)
    elif kind in _HTML:
        yield _read_html(path, path.relative_to(base).as_posix())
    else:
        yield from _read_plain(path, path.relative_to(base).as_posix())


def _walk(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(parent, name)
            if not name.startswith(".") and path.suffix.lower() in _PLAIN | _HTML and not path.is_symlink():
                yield path


def _read_plain(path: Path, name: str) -> Iterator[Source]:
    """A text file, in several documents when it is long, so that no file has to fit into memory."""
    title = ""
    with path.open(encoding=_encoding(path), errors="replace") as file:
        rest, part = "", 1
        while block := file.read(_PART):
            rest += block
            if len(rest) < _PART:
                continue
            border = rest.rfind("\n\n", _PART // 2) + 2
            cut = border if border >= 2 else len(rest)
            title = title or _title(rest, path)
            yield _part(name, part, title, rest[:cut])
            rest, part = rest[cut:], part + 1
        if rest.strip() or part == 1:
            yield _part(name, part, title or _title(rest, path), rest)


def _part(name: str, part: int, title: str, text: str) -> Source:
    number = f"#{part}" if part > 1 else ""
    return Source(f"{name}{number}", title, "", text, len(text))


def _title(text: str, path: Path) -> str:
    heading = _HEADING.match(text) if path.suffix.lower() in {".md", ".markdown"} else None
    return heading[1].strip().rstrip("#").strip() if heading else path.stem.replace("_", " ")


def _encoding(path: Path) -> str:
    """UTF-8 or UTF-16 where the file is in it; else the encoding that old English texts are in, which never fails."""
    with path.open("rb") as file:
        head = file.read(2**16)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)  # the last character may be cut in two
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8-sig"


def _read_html(path: Path, name: str) -> Source:
    try:
        from trafilatura import bare_extraction, html2txt
    except ImportError:
        raise MissingExtra("reading HTML", "tools") from None
    size = path.stat().st_size
    if size > _MAX_HTML:
        raise InvalidInput(f"{path} has {size >> 20} MiB; HTML files may have {_MAX_HTML >> 20}")
    page = path.read_bytes()
    found = bare_extraction(page, with_metadata=True, include_comments=False)
    title = str(getattr(found, "title", None) or "") or path.stem.replace("_", " ")
    text = str(getattr(found, "text", None) or "") or str(html2txt(page) or "")
    return Source(name, title, str(getattr(found, "url", None) or ""), text, size)


def _kinds(suffixes: set[str]) -> str:
    return ", ".join(sorted(suffixes))
