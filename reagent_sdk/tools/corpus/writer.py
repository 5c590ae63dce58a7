"""Writes documents and their index into a new corpus file."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from reagent_sdk.tools.corpus import schema
from reagent_sdk.tools.corpus.jsonl import Source
from reagent_sdk.tools.corpus.passages import cut
from reagent_sdk.tools.corpus.terms import indexed

_TITLE = 300


def create(path: Path) -> sqlite3.Connection:
    """An empty corpus."""
    database = sqlite3.connect(path)
    # Nobody reads this file before it is complete, and a crash discards it: it needs no journal.
    database.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -65536;")
    database.executescript(schema.TABLES)
    return database


class Writer:
    """Adds documents to an open build, and counts."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self.documents = self.passages = self.duplicates = self.empty = self.renamed = 0

    def add(self, document: Source) -> None:
        """Stores a document and indexes its passages, unless it is empty or a duplicate."""
        document = _without_nul(document)
        text = document.text.strip()
        if not text:
            self.empty += 1
            return
        number = self.documents + 1
        same = schema.digest(text)
        row = self._database.execute("SELECT n FROM documents WHERE digest = ?", (same,)).fetchone()
        if row:
            self.duplicates += 1
            self._database.execute("INSERT OR IGNORE INTO ids VALUES (?, ?)", (document.id, row[0]))
            return
        title = " ".join(document.title.split())[:_TITLE]
        document = replace(document, id=self._free_id(document.id, number), title=title, text=text)
        self._database.execute("INSERT INTO ids VALUES (?, ?)", (document.id, number))
        self._database.execute(
            "INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?)",
            (number, document.id, document.title, document.url, text, same),
        )
        self.documents = number
        self._index(number, document)

    def finish(self) -> None:
        """Merges the index into one segment, which makes queries faster, and commits."""
        self._database.execute("INSERT INTO terms(terms) VALUES ('optimize')")
        self._database.execute(schema.INDEXES)
        meta = {
            "documents": str(self.documents),
            "passages": str(self.passages),
            "built_at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        self._database.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
        self._database.commit()

    def _index(self, number: int, document: Source) -> None:
        title = indexed(document.title)
        for start, stop in cut(document.text):
            self.passages += 1
            self._database.execute("INSERT INTO passages VALUES (?, ?, ?, ?)", (self.passages, number, start, stop))
            text = indexed(document.text[start:stop])
            self._database.execute(
                "INSERT INTO terms(rowid, title, text) VALUES (?, ?, ?)", (self.passages, title, text)
            )

    def _free_id(self, wanted: str, number: int) -> str:
        """The id itself, or one like it where another document has it: files in two folders may share a name."""
        free = wanted
        while self._database.execute("SELECT 1 FROM ids WHERE id = ?", (free,)).fetchone():
            free = f"{free}~{number}"
        self.renamed += free != wanted
        return free


def _without_nul(document: Source) -> Source:
    """SQLite's text functions take a NUL for the end."""
    clean = {name: getattr(document, name).replace("\0", " ") for name in ("id", "title", "url", "text")}
    return replace(document, **clean)
