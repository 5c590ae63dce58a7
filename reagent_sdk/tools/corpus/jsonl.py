"""Documents out of JSONL files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reagent_sdk.errors import InvalidInput
from reagent_sdk.secrets import excerpt

MAX_LINE = 64 * 2**20

_TEXT = ("text", "contents", "content", "body", "passage", "document")
_TITLE = ("title", "name", "heading")
_URL = ("url", "link", "href", "source_url", "uri")
_ID = ("id", "_id", "doc_id", "docid", "document_id", "pid", "uuid")


@dataclass(frozen=True, slots=True)
class Fields:
    """Which fields of a JSONL row are meant; None looks for the usual names."""

    text: str | None = None
    title: str | None = None
    url: str | None = None
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """A document as it was read, with the number of bytes that it took to read it."""

    id: str
    title: str
    url: str
    text: str
    bytes: int


def read_jsonl(path: Path, fields: Fields) -> Iterator[Source]:
    """Reads a file line by line.

    Raises:
        InvalidInput: a line cannot be used; the message names file, line and reason.
    """
    with path.open("rb") as file:
        number = 0
        while line := file.readline(MAX_LINE + 1):
            number += 1
            where = f"{path}:{number}"
            if len(line) > MAX_LINE:
                raise InvalidInput(f"{where}: the line is longer than {MAX_LINE >> 20} MiB; is this JSONL?")
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
            if line.strip():
                row = _parse(line, where)
                yield _document(row, fields, where, f"{path.stem}-{number}", len(line))


def _parse(line: bytes, where: str) -> Mapping[str, Any]:
    try:
        row = json.loads(line)
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{where}: not UTF-8 ({error.reason} at byte {error.start})") from None
    except json.JSONDecodeError as error:
        raise InvalidInput(f"{where}: not JSON ({error.msg} at column {error.colno})") from None
    except (ValueError, RecursionError) as error:  # a number with too many digits, brackets nested too deep
        raise InvalidInput(f"{where}: not JSON that can be read ({type(error).__name__})") from None
    if not isinstance(row, dict):
        raise InvalidInput(f"{where}: not an object but {type(row).__name__}; write one object a line")
    return row


def _document(row: Mapping[str, Any], fields: Fields, where: str, fallback_id: str, size: int) -> Source:
    name = fields.text or next((name for name in _TEXT if name in row), None)
    if name is None or name not in row:
        has = excerpt(", ".join(row)) or "none"
        wanted = f"the field {fields.text!r}" if fields.text else "a text; name its field with --text-field"
        raise InvalidInput(f"{where}: the row lacks {wanted}; its fields are {has}")
    text = _plain(row[name])
    if text is None:
        raise InvalidInput(f"{where}: {name!r} is {type(row[name]).__name__}, not text")
    title = _value(row, fields.title, _TITLE)
    if not title and name == "contents" and "\n" in text:
        # The layout of Wikipedia dumps for retrieval: the title in quotation marks on the first line.
        title, _, text = text.partition("\n")
        title = title.strip().strip('"')
    return Source(_value(row, fields.id, _ID) or fallback_id, title, _value(row, fields.url, _URL), text, size)


def _value(row: Mapping[str, Any], named: str | None, usual: tuple[str, ...]) -> str:
    names = (named,) if named else usual
    return next((found for name in names if (found := _plain(row.get(name)))), "").strip()


def _plain(value: object) -> str | None:
    """Text, numbers and lists of texts as text; '' for null, None for anything else."""
    if isinstance(value, str):
        # Lone surrogates can be written in JSON and nowhere else.
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    if value is None:
        return ""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, list):
        parts = [_plain(part) for part in value]
        return None if None in parts else " ".join(part for part in parts if part)
    return None
