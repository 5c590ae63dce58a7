"""Text out of bytes, and text in pages."""

from __future__ import annotations

import codecs

PAGE_CHARS = 10_000
"""Characters of a page, in training and in use alike: an agent that learned on shorter pages would misjudge these."""

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_GUESSED_FROM = 1 << 18


def decode(data: bytes, declared: str | None = None) -> str | None:
    """Text in whatever charset it is; None when these bytes are no text.

    Args:
        data: the bytes.
        declared: the charset that the file or its server names, used when the bytes are neither marked nor UTF-8.
    """
    for mark, charset in _BOMS:
        if data.startswith(mark):
            return data.decode(charset, "replace")
    if b"\0" in data[:8192]:
        return None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        pass
    try:
        return data.decode(declared or "unknown")
    except (LookupError, UnicodeError):
        return _guessed(data)


def _guessed(data: bytes) -> str | None:
    from charset_normalizer import from_bytes

    best = from_bytes(data[:_GUESSED_FROM]).best()
    return None if best is None else data.decode(best.encoding, "replace")


def pages(text: str, size: int = PAGE_CHARS) -> list[str]:
    """The text in pages of at most `size` characters that end with a line where one ends in their last tenth."""
    cut: list[str] = []
    start = 0
    while len(text) - start > size:
        line_end = text.rfind("\n", start + size - size // 10, start + size)
        end = line_end + 1 if line_end >= 0 else start + size
        cut.append(text[start:end])
        start = end
    cut.append(text[start:])
    return cut
