"""Small real files of each format, made on the fly: documents, a picture with text, a recording."""

from __future__ import annotations

import io
import wave
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

_OFFICE = "http://schemas.openxmlformats.org"
_WORD = f"{_OFFICE}/wordprocessingml/2006/main"
SPOKEN = Path(__file__).with_name("spoken.mp3")
"""Two seconds of a synthetic voice (made by us with espeak-ng) that says "one two three four five"."""


def pdf(pages: Sequence[str | bytes]) -> bytes:
    """A pdf: a text is laid out line by line, bytes are a page's drawing commands."""
    kids = " ".join(f"{4 + 2 * index} 0 R" for index in range(len(pages)))
    parts = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        f"<</Type/Pages/Kids[{kids}]/Count {len(pages)}>>".encode(),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    for index, page in enumerate(pages):
        drawing = zlib.compress(page if isinstance(page, bytes) else _drawn(page), 9)
        shape = "<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Resources<</Font<</F1 3 0 R>>>>"
        parts.append(f"{shape}/Contents {5 + 2 * index} 0 R>>".encode())
        parts.append(b"<</Filter/FlateDecode/Length %d>>\nstream\n%b\nendstream" % (len(drawing), drawing))
    made, offsets = bytearray(b"%PDF-1.4\n"), []
    for number, part in enumerate(parts, start=1):
        offsets.append(len(made))
        made += b"%d 0 obj\n%b\nendobj\n" % (number, part)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    size, start = len(parts) + 1, len(made)
    made += b"xref\n0 %d\n0000000000 65535 f \n%b" % (size, table)
    return bytes(made + b"trailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (size, start))


def _drawn(text: str) -> bytes:
    lines = " ".join(f"({line}) Tj T*" for line in text.split("\n"))
    return f"BT /F1 12 Tf 72 720 Td 14 TL {lines} ET".encode()


def docx(text: str, *, prolog: str = "", markup: str = "", parts: Mapping[str, str] | None = None) -> bytes:
    """A Word document of one paragraph, with an XML prolog, further markup and further parts for attacks."""
    body = f"<w:body><w:p><w:r><w:t>{text}</w:t></w:r></w:p>{markup}</w:body>"
    package, content = f"{_OFFICE}/package/2006", "application/vnd.openxmlformats"
    return archive(
        {
            "[Content_Types].xml": f'<Types xmlns="{package}/content-types">'
            f'<Default Extension="rels" ContentType="{content}-package.relationships+xml"/>'
            '<Override PartName="/word/document.xml" '
            f'ContentType="{content}-officedocument.wordprocessingml.document.main+xml"/></Types>',
            "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" '
            f'Type="{_OFFICE}/officeDocument/2006/relationships/officeDocument" '
            'Target="word/document.xml"/></Relationships>',
            "word/document.xml": f'<?xml version="1.0"?>{prolog}<w:document xmlns:w="{_WORD}">{body}</w:document>',
            **(parts or {}),
        }
    )


def xlsx(rows: Sequence[Sequence[str | int]]) -> bytes:
    """An Excel workbook with one sheet."""
    from openpyxl import Workbook  # type: ignore[import-untyped]

    book, made = Workbook(), io.BytesIO()
    for row in rows:
        book.active.append(row)
    book.save(made)
    return made.getvalue()


def pptx(title: str, text: str) -> bytes:
    """A PowerPoint presentation with one slide."""
    from pptx import Presentation

    deck, made = Presentation(), io.BytesIO()
    slide = deck.slides.add_slide(deck.slide_layouts[1])
    slide.shapes.title.text, slide.placeholders[1].text = title, text
    deck.save(made)
    return made.getvalue()


def epub(title: str, text: str) -> bytes:
    """An e-book with one chapter."""
    return archive(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": '<container><rootfiles><rootfile full-path="book.opf"/></rootfiles></container>',
            "book.opf": '<package xmlns:dc="http://purl.org/dc/elements/1.1/">'
            f"<metadata><dc:title>{title}</dc:title></metadata>"
            '<manifest><item id="c1" href="c1.xhtml"/></manifest><spine><itemref idref="c1"/></spine></package>',
            "c1.xhtml": f"<html><body><h1>{title}</h1><p>{text}</p></body></html>",
        }
    )


def archive(members: Mapping[str, str | bytes]) -> bytes:
    """A zip archive."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return made.getvalue()


def png(text: str) -> bytes:
    """A picture with a line of text."""
    from PIL import Image, ImageDraw, ImageFont

    picture, made = Image.new("RGB", (30 * len(text), 140), "white"), io.BytesIO()
    ImageDraw.Draw(picture).text((20, 40), text, fill="black", font=ImageFont.load_default(size=48))
    picture.save(made, "PNG")
    return made.getvalue()


def wav(samples: bytes, *, rate: int = 16_000) -> bytes:
    """A recording of 16-bit samples, one channel."""
    made = io.BytesIO()
    with wave.open(made, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples)
    return made.getvalue()
