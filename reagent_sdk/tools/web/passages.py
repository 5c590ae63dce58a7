"""Finds what a page says about a query: its passages, ranked by BM25."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass

from reagent_sdk.tools.corpus.passages import cut
from reagent_sdk.tools.corpus.terms import indexed, match_expression

_OVERLAP = 0
"""Passages are shown side by side here: a repetition would only cost the reader tokens."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a page: its place, counted from 1, and its text."""

    number: int
    text: str


def split(text: str, size: int) -> list[Passage]:
    """The page in passages of at most `size` characters."""
    pieces = (text[start:stop].strip() for start, stop in cut(text, size, _OVERLAP))
    return [Passage(number, piece) for number, piece in enumerate(filter(None, pieces), 1)]


def ranked(passages: list[Passage], query: str) -> list[Passage]:
    """The passages that share a word with the query, best first."""
    wanted = match_expression(query)
    if wanted is None:
        return []
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute(
            "CREATE VIRTUAL TABLE passage USING fts5(text, content='', tokenize='porter unicode61 remove_diacritics 2')"
        )
        rows = ((passage.number, indexed(passage.text)) for passage in passages)
        database.executemany("INSERT INTO passage (rowid, text) VALUES (?, ?)", rows)
        found = database.execute("SELECT rowid FROM passage WHERE passage MATCH ? ORDER BY rank, rowid", (wanted,))
        return [passages[number - 1] for (number,) in found]


def digest(text: str, query: str, room: int, size: int) -> str:
    """The text itself if it fits into `room` characters, else its start and its best passages, in their order."""
    if len(text) <= room:
        return text
    passages = split(text, min(size, room // 2))
    chosen: dict[int, Passage] = {}
    left = room
    for passage in [*passages[:1], *ranked(passages, query), *passages]:
        if passage.number not in chosen and len(passage.text) + 8 <= left:
            chosen[passage.number] = passage
            left -= len(passage.text) + 8
    return joined([chosen[number] for number in sorted(chosen)])


def joined(passages: list[Passage]) -> str:
    """Passages in their order, with a mark wherever something was left out between them."""
    parts: list[str] = []
    before = 0
    for passage in passages:
        parts.append(passage.text if passage.number == before + 1 else f"[...]\n{passage.text}")
        before = passage.number
    return "\n\n".join(parts)
