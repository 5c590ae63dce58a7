"""Cuts a text into overlapping passages, at paragraph borders where there are any, else at sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

SIZE = 1_500
OVERLAP = 200

_WIDE_END = "\u3002\uff01\uff1f"  # ends a sentence in Chinese and Japanese, where no blank follows
_CLOSING = "\"')\\]\u201d\u2019"
_BREAK = re.compile(rf"(?<=[.!?{_WIDE_END}])[{_CLOSING}]{{0,3}}\s+|(?<=[{_WIDE_END}])|\n\s*")


@dataclass(frozen=True, slots=True)
class _Piece:
    """A sentence, or part of one that is longer than a passage. The pieces of a text cover it without gaps."""

    start: int
    stop: int
    ends_paragraph: bool


def cut(text: str, size: int = SIZE, overlap: int = OVERLAP) -> Iterator[tuple[int, int]]:
    """Passages as (start, stop) offsets.

    Every character is in a passage, none is longer than `size`, and a passage repeats up to `overlap` characters of
    the one before it, in whole sentences: a statement is then found even where it crosses a cut.

    Args:
        text: what to cut.
        size: longest passage in characters.
        overlap: longest repetition in characters; less than half of `size`.
    """
    pieces = list(_pieces(text, size))
    first = 0
    while first < len(pieces):
        last = _fill(pieces, first, size)
        yield pieces[first].start, pieces[last].stop
        if last + 1 == len(pieces):
            return
        first = _step_back(pieces, first, last, size, overlap)


def _fill(pieces: list[_Piece], first: int, size: int) -> int:
    """Index of the last piece of the passage: as full as it gets, but cut at a paragraph if one ends in its half."""
    start = last = first
    border = None
    for index in range(first, len(pieces)):
        length = pieces[index].stop - pieces[start].start
        if length > size:
            return border if border is not None else last
        last = index
        if pieces[index].ends_paragraph and length >= size // 2:
            border = index
    return last


def _step_back(pieces: list[_Piece], first: int, last: int, size: int, overlap: int) -> int:
    """Index of the next passage's first piece: some way back, if the next new piece still fits behind it."""
    begin = last + 1
    stop, needed = pieces[last].stop, pieces[last + 1].stop
    while begin - 1 > first and stop - pieces[begin - 1].start <= overlap and needed - pieces[begin - 1].start <= size:
        begin -= 1
    return begin


def _pieces(text: str, size: int) -> Iterator[_Piece]:
    start = 0
    for found in _BREAK.finditer(text):
        if found.end() > start:
            yield from _short(text, start, found.end(), size, ends_paragraph=found[0].count("\n") > 1)
            start = found.end()
    if start < len(text):
        yield from _short(text, start, len(text), size, ends_paragraph=True)


def _short(text: str, start: int, stop: int, size: int, *, ends_paragraph: bool) -> Iterator[_Piece]:
    """Breaks what is longer than a passage at a blank, or anywhere if there is none."""
    while stop - start > size:
        blank = text.rfind(" ", start + size // 2, start + size)
        middle = blank + 1 if blank >= 0 else start + size
        yield _Piece(start, middle, ends_paragraph=False)
        start = middle
    yield _Piece(start, stop, ends_paragraph)
