"""What characters read as: homoglyphs, styled letters and invisible characters folded to the plain text they imitate.

`fold` gives the text that a reader, or a model, takes a text for: letters of other scripts that look Latin, full-width,
mathematical, circled and small-capital letters become plain lower-case ones, brackets and bars become ASCII, and what
takes no room of its own (white space, combining marks, format and control characters, ANSI colours) vanishes.
"""

# ruff: noqa: RUF001 - the look-alikes are what this file is about

from __future__ import annotations

import re
import unicodedata

_CACHED = 20_000
"""Characters remembered; hostile text can hold a million different ones."""

_ANSI = re.compile(r"\x1b\[[\d;]{0,16}[A-Za-z]")
_STYLED_NAME = re.compile(r"LATIN (?:SMALL |CAPITAL )?LETTER (?:SMALL CAPITAL )?([A-Z])(?: WITH .*)?")
_BLANK = "\u115f\u1160\u3164\uffa0\u2800"  # letters and symbols to Unicode, but nothing is drawn
_LETTERS_IN_ORDER = (0x1F150, 0x1F170, 0x1F1E6)
"""Starts of alphabets without a decomposition: negative circled, negative squared, regional indicators."""

_ALIKE = {
    "a": "аɑαꓮᎪ", "c": "сϲⅽᏟꓚ", "d": "ԁⅾꓓᎠ", "e": "еєℯ℮ҽᎬꓰε", "f": "ƒꓝ", "g": "ɡցꓖᏀ", "h": "һհᎻꓧн",
    "i": "іιıⅰꭵᎥꓲ", "k": "кκᏦꓗ", "l": "ӏⅼꞁᏞꓡ", "m": "мⅿᎷꓟ", "n": "ոηпꓠ", "o": "оοօσꓳ", "p": "рρᏢꓑ",
    "q": "ԛզ", "r": "гᎡꓣꭇꮁ", "s": "ѕꜱꓢᏚՏ", "t": "тτᎢꓔ", "u": "սυꓴ", "v": "νѵᏙꓦ", "x": "хχⅹꓫ", "y": "уγүꓬ",
    "z": "ᴢᏃꓜ",
    "<": "‹⟨〈❮ᐸ˂❬⧼〈˱ᑉ𝈶", "[": "⟦〚❲【〔⁅", "|": "∣❘│┃ǀ❙¦∥‖", "/": "∕⁄╱⟋／⧸", "_": "▁ˍ", "#": "♯",
    "-": "‐‑‒–—−⁻", "->": "→⟶➔➜➝➞⇒", "]": "⟧〛❳】〕⁆", ">": "›⟩〉❯ᐳ˃❭〉",
}  # fmt: skip
_FOLDED = {char: plain for plain, chars in _ALIKE.items() for char in chars}
_FOLDED |= {char.upper(): plain for char, plain in list(_FOLDED.items()) if len(char.upper()) == 1}


def fold(text: str) -> str:
    """What a text reads as, in lower case and without anything invisible. See :func:`origins` for the way back."""
    if "\x1b" in text:
        text = _without_colours(text)
    return text.translate(_TABLE)


def origins(text: str) -> list[int]:
    """For every character of `fold(text)`, the position in `text` that it comes from."""
    if "\x1b" in text:
        text = _without_colours(text)
    return [position for position, char in enumerate(text) for _ in _TABLE[ord(char)]]


def _without_colours(text: str) -> str:
    return _ANSI.sub(lambda found: "\u200b" * len(found[0]), text)


class _Table(dict[int, str]):
    """Character code to folded text, worked out when a character is first seen."""

    def __missing__(self, code: int) -> str:
        folded = _fold(chr(code))
        if len(self) < _CACHED:
            self[code] = folded
        return folded


_TABLE = _Table()


def _fold(char: str) -> str:
    if char in _FOLDED:
        return _FOLDED[char]
    if char in _BLANK or char.isspace() or unicodedata.category(char) in ("Mn", "Me", "Cc", "Cf"):
        return ""
    if char.isdecimal():
        return str(unicodedata.decimal(char))
    for start in _LETTERS_IN_ORDER:
        if start <= ord(char) < start + 26:
            return chr(ord("a") + ord(char) - start)
    plain = "".join(part for part in unicodedata.normalize("NFKD", char) if not unicodedata.combining(part)).casefold()
    if plain.isascii():
        return plain[1] if len(plain) == 3 and plain[0] == "(" else "".join(plain.split())
    if len(plain) == 1 and plain in _FOLDED:
        return _FOLDED[plain]
    if named := _STYLED_NAME.fullmatch(unicodedata.name(char, "")):
        return named[1].lower()
    return char
