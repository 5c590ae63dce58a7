"""Turns bytes into text when their charset is missing, unknown or wrong."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass

# Labels of the web and what browsers take them for. Only these: among Python's codecs are some that take quadratic
# time (idna, punycode) or that smuggle characters past filters (utf-7).
_BROWSERS_TAKE = {
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "big5": "big5hkscs",
    "utf-16": "utf-16-le",
    "tis-620": "cp874",
}
_KNOWN = frozenset(_BROWSERS_TAKE.values()) | {
    "utf-8", "utf-16-be", "utf-32", "euc_jp", "iso2022_jp", "johab", "koi8-r", "koi8-u", "mac-roman", "mac-cyrillic",
    "cp866", *(f"cp{page}" for page in range(1250, 1259)), *(f"iso8859-{part}" for part in range(2, 17) if part != 12),
}  # fmt: skip
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_META = re.compile(
    rb"""<(?:meta\b[^>]{0,400}?charset|\?xml\b[^>]{0,200}?encoding)\s*=\s*["']?\s*([\w.:-]{2,40})""", re.I
)
_SAMPLE = 32 * 2**10


@dataclass(frozen=True, slots=True)
class Decoded:
    """Text, the codec that gave it, and a remark when that was not the declared one."""

    text: str
    charset: str
    note: str = ""


def decode(body: bytes, declared: str | None) -> Decoded:
    """Decodes by mark, header, meta tag or guess: the first that fits without an error.

    Args:
        body: the bytes; they may end in the middle of a character.
        declared: charset of the Content-Type header.
    """
    for mark, name in _MARKS:
        if body.startswith(mark):
            return Decoded(body[len(mark) :].decode(name, "replace").lstrip("\ufeff"), name)
    stated = known_codec(declared)
    for name in _candidates(body, stated):
        text = _strictly(body, name)
        if text is None:
            continue
        return Decoded(text, name, _remark(declared, stated, name))
    name = stated or "utf-8"
    return Decoded(body.decode(name, "replace"), name, f"some bytes are not {name} and were replaced")


def _remark(declared: str | None, stated: str | None, name: str) -> str:
    if declared is None or name == stated:
        return ""
    return f"the server called the text {declared[:40]!r}; it was read as {name}"


def known_codec(label: str | None) -> str | None:
    """The codec that browsers use for a label, or None for labels that the web does not have."""
    if not label or len(label) > 40:
        return None
    try:
        name = codecs.lookup(label.strip().strip("\"'")).name
    except (LookupError, ValueError):
        return None
    name = _BROWSERS_TAKE.get(name, name)
    return name if name in _KNOWN else None


def _candidates(body: bytes, stated: str | None) -> Iterator[str]:
    """Codecs worth trying, likeliest first."""
    in_page = _META.search(body[:4096])
    meta = known_codec(in_page[1].decode("ascii", "ignore")) if in_page else None
    # A page that can read a meta tag as ASCII is not UTF-16, whatever the tag says; the standard takes it for UTF-8.
    meta = "utf-8" if meta and meta.startswith("utf-16") else meta
    one_byte = stated is not None and (stated.startswith(("cp125", "iso8859")))
    if one_byte or stated is None:
        # Text that is UTF-8 by chance does not exist; servers that say latin-1 by default do.
        yield "utf-8"
    yield from (name for name in (stated, meta, "utf-8") if name)
    guess = _guessed(body[:_SAMPLE])
    if guess:
        yield guess


def _guessed(sample: bytes) -> str | None:
    try:
        from charset_normalizer import from_bytes
    except ImportError:
        return "cp1252"
    best = from_bytes(sample).best()
    return known_codec(best.encoding) if best else None


def _strictly(body: bytes, name: str) -> str | None:
    """The text, if every byte fits; a character cut off at the end does not count against it."""
    try:
        return codecs.getincrementaldecoder(name)("strict").decode(body)
    except UnicodeError:
        return None


def looks_binary(body: bytes) -> bool:
    """Whether the start of a body that should be text holds what no text holds."""
    sample = body[:4096]
    if not sample or any(sample.startswith(mark) for mark, _ in _MARKS):
        return False
    control = sum(byte < 9 or 13 < byte < 27 or 27 < byte < 32 for byte in sample)
    zeros = sample.count(0)
    # Without a mark, every other byte of UTF-16 in a Western script is a zero.
    utf16 = zeros > len(sample) * 0.3 and (zeros == sample[::2].count(0) or zeros == sample[1::2].count(0))
    return not utf16 and control > len(sample) * 0.05
