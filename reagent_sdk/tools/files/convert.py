"""Documents to text with markitdown. Runs in the reading process only, see `files_process`.

What a file is shows in its first bytes; its name and media type decide only between kinds of text. Markitdown's
converters are called directly: its own choice would try several in turn, also ones that start programs.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from typing import IO, Any

from reagent_sdk.tools.files.archives import check_package, listing, open_archive, read_member
from reagent_sdk.tools.files.roots import FileProblem
from reagent_sdk.tools.files.text import decode

DOCUMENT = "reagent_sdk.tools.files.convert:document"

_SLOW_PAGES = 80  # markitdown looks for tables on each page of a pdf, which takes seconds for tens of pages
_IMAGES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*")
_SOUNDS = (b"ID3", b"fLaC", b"OggS", b"\xff\xfb", b"\xff\xf3", b"\xff\xf1")
_PARTS = (("word/", "docx"), ("xl/", "xlsx"), ("ppt/", "pptx"), ("META-INF/container.xml", "epub"))
_TEXTS = {
    "csv": ("csv", "text/csv"),
    "html": ("html", "htm", "xhtml", "text/html", "application/xhtml+xml"),
    "ipynb": ("ipynb",),
}
_CONVERTERS = {
    "pdf": "PdfConverter",
    "docx": "DocxConverter",
    "xlsx": "XlsxConverter",
    "pptx": "PptxConverter",
    "epub": "EpubConverter",
    "csv": "CsvConverter",
    "html": "HtmlConverter",
    "ipynb": "IpynbConverter",
}


def document(stream: IO[bytes], arguments: Mapping[str, Any]) -> tuple[dict[str, Any], bytes]:
    """Reads a document.

    Args:
        stream: the file, or the archive that holds it.
        arguments: `name`; `members`, names inside archives; `media_type`, maybe with a charset; `max_bytes` and
            `max_unpacked`.
    """
    name, members = arguments["name"], arguments["members"]
    data = stream.read(arguments["max_bytes"] + 1)
    if len(data) > arguments["max_bytes"]:
        raise FileProblem("TooLarge", f"the file is larger than {arguments['max_bytes']} bytes")
    if members:
        data = read_member(io.BytesIO(data), members, limit=arguments["max_unpacked"])
        name = "!".join((name, *members))
    media_type, _, declared = arguments["media_type"].partition(";")
    kind = kind_of(data, name, media_type.strip().lower())
    if kind in {"docx", "xlsx", "pptx", "epub"}:
        check_package(io.BytesIO(data), limit=arguments["max_unpacked"])
    text, notes = _read(kind, data, name, declared.rpartition("charset=")[2].strip(" \"'"))
    return {"kind": kind, "notes": notes}, text.encode("utf-8", "replace")


def kind_of(data: bytes, name: str, media_type: str = "") -> str:
    """What a file is: the name of a format, "archive", or "text".

    Raises:
        FileProblem: it is a picture, a sound or an old office file, which other tools or nobody can read.
    """
    if b"%PDF-" in data[:1024]:
        return "pdf"
    if data.startswith((b"PK\3\4", b"PK\5\6")):
        return _packaged(data)
    if b"\0" in data[:512] or not data[:512].isascii():  # a text may begin with "BM" or "ID3" too
        _refuse_media(data, name)
    extension = name.rpartition(".")[2].lower()
    return next((kind for kind, names in _TEXTS.items() if media_type in names or extension in names), "text")


def _refuse_media(data: bytes, name: str) -> None:
    if data.startswith(_IMAGES) or data[8:12] == b"WEBP":
        raise FileProblem("Unsupported", f"{name!r} is a picture; use image2text")
    if data.startswith(_SOUNDS) or data[8:12] == b"WAVE" or data[4:8] == b"ftyp":
        raise FileProblem("Unsupported", f"{name!r} is a recording; use audio2text")
    if data.startswith(b"\xd0\xcf\x11\xe0"):
        raise FileProblem("Unsupported", f"{name!r} is an old binary office file; save it as docx, xlsx or pptx")


def _packaged(data: bytes) -> str:
    with open_archive(io.BytesIO(data)) as archive:
        names = archive.namelist()
    if "[Content_Types].xml" not in names and "META-INF/container.xml" not in names:
        return "archive"
    return next((kind for part, kind in _PARTS if any(name.startswith(part) for name in names)), "archive")


def _read(kind: str, data: bytes, name: str, declared: str) -> tuple[str, list[str]]:
    if kind == "archive":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return listing(archive, name), []
    if kind == "pdf":
        return _pdf(data)
    if kind in {"docx", "xlsx", "pptx", "epub"}:
        return _markdown(kind, data), []
    text = decode(data, declared or (_declared_in_html(data) if kind == "html" else None))
    if text is None:
        raise FileProblem("Unsupported", f"{name!r} is a binary file of a kind that cannot be read as text")
    if kind == "text":
        return text, []
    try:
        return _markdown(kind, text.encode("utf-8", "replace")), []
    except Exception as error:  # broken csv or notebooks are still text, and text can be read
        return text, [f"shown as it is: it is no valid {kind} ({type(error).__name__})"]


def _pdf(data: bytes) -> tuple[str, list[str]]:
    from pypdfium2 import PdfDocument, PdfiumError  # type: ignore[import-untyped]

    notes: list[str] = []
    try:
        with PdfDocument(data) as parsed:
            count = len(parsed)
            if count > _SLOW_PAGES:
                notes.append(f"{count} pages, read as plain text: tables are not kept")
                text = "\n\n".join(page.get_textpage().get_text_bounded() for page in parsed).replace("\r\n", "\n")
            else:
                text = _markdown("pdf", data).replace("\f", "\n")
    except PdfiumError as error:
        if "password" in str(error).lower():
            raise FileProblem("Encrypted", "the pdf is protected by a password") from None
        raise FileProblem("Damaged", f"the pdf cannot be read: {error}") from None
    if not text.strip():
        notes.append(f"{count} pages without any text: most likely a scan")
    return text, notes


def _markdown(kind: str, data: bytes) -> str:
    from markitdown import StreamInfo, converters

    converter = getattr(converters, _CONVERTERS[kind])()
    converted = converter.convert(io.BytesIO(data), StreamInfo(extension=f".{kind}", charset="utf-8"))
    return str(converted.markdown)


def _declared_in_html(data: bytes) -> str | None:
    from bs4.dammit import EncodingDetector

    found = EncodingDetector.find_declared_encoding(data, is_html=True)
    return str(found) if found else None
