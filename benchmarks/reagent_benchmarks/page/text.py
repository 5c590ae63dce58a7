"""Texts of unknown origin and length, made fit for a page."""

from __future__ import annotations

import re
from typing import Any

_SURROGATE = re.compile("[\ud800-\udfff]")
_DIRECTIONS = {
    "\u202a": "LRE",
    "\u202b": "RLE",
    "\u202c": "PDF",
    "\u202d": "LRO",
    "\u202e": "RLO",
    "\u2066": "LRI",
    "\u2067": "RLI",
    "\u2068": "FSI",
    "\u2069": "PDI",
}
_PICTURES: dict[int, int | str] = {code: 0x2400 + code for code in range(0x20) if code not in (0x09, 0x0A)}
_PICTURES |= {0x7F: 0x2421} | dict.fromkeys(range(0x80, 0xA0), 0xFFFD)
_PICTURES |= {ord(mark): f"⟦{name}⟧" for mark, name in _DIRECTIONS.items()}


def visible(text: str) -> str:
    """The text with a picture for each control character; line ends become `\\n`, tabs stay.

    Halves of surrogate pairs, which no file can hold, and C1 controls become U+FFFD. Controls that turn the writing
    direction become their names: one that is never closed would reach beyond the element that isolates the text, and
    they can show a text in another order than it has. Right-to-left text needs none of them.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _SURROGATE.sub("\ufffd", text.translate(_PICTURES))


def cut(text: str, limit: int) -> str | dict[str, Any]:
    """The text as :func:`visible` has it; beyond `limit` characters only its ends, and how much is left out between."""
    if len(text) <= limit:
        return visible(text)
    head = limit * 3 // 4
    tail = limit - head
    return {
        "head": visible(text[:head]),
        "left_out": len(text) - limit,
        "tail": visible(text[-tail:]) if tail else "",
    }


def short(text: str, limit: int) -> str:
    """The text on one line, cut to a length."""
    line = " ".join(visible(text[: 8 * limit]).split())
    return line if len(line) <= limit and len(text) <= 8 * limit else line[: limit - 1] + "…"
