"""Finds the passages of a text that a query asks for, ranked by BM25 in a database in memory."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing

_PASSAGE = 600
_FOUND = 12


def passages(pages: Sequence[str], query: str) -> list[tuple[int, str]]:
    """The best passages in the order of the text, each with the number of its page, counted from 1."""
    words = re.findall(r"\w+", query)
    if not words:
        return []
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute("CREATE VIRTUAL TABLE passage USING fts5(page UNINDEXED, text, tokenize='porter unicode61')")
        database.executemany("INSERT INTO passage VALUES (?, ?)", _split(pages))
        # Quoted, so that no word of the query is taken for an operator.
        wanted = " OR ".join(f'"{word}"' for word in words)
        best = "SELECT rowid, page, text FROM passage WHERE passage MATCH ? ORDER BY rank LIMIT ?"
        found = database.execute(best, (wanted, _FOUND)).fetchall()
    return [(page, text) for _, page, text in sorted(found)]


def _split(pages: Sequence[str]) -> Iterator[tuple[int, str]]:
    for number, page in enumerate(pages, start=1):
        passage = ""
        for line in page.splitlines(keepends=True):
            if passage and len(passage) + len(line) > _PASSAGE:
                yield number, passage
                passage = ""
            while len(line) > 2 * _PASSAGE:
                yield number, line[:_PASSAGE]
                line = line[_PASSAGE:]
            passage += line
        if passage.strip():
            yield number, passage
