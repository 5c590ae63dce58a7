"""The tables of a corpus file, which `corpus build` writes and `CorpusSearch` reads."""

from __future__ import annotations

import hashlib

VERSION = 1
APPLICATION_ID = 0x52474354
"""Marks the file: SQLite keeps it in the header, so that other databases are told apart."""

TABLES = f"""\
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {VERSION};
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE documents (
    n INTEGER PRIMARY KEY, id TEXT NOT NULL, title TEXT NOT NULL, url TEXT NOT NULL, text TEXT NOT NULL,
    digest BLOB NOT NULL UNIQUE
);
CREATE TABLE ids (id TEXT PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE passages (n INTEGER PRIMARY KEY, document INTEGER NOT NULL, start INTEGER NOT NULL, stop INTEGER NOT NULL);
CREATE VIRTUAL TABLE terms USING fts5(title, text, content='', tokenize="porter unicode61 remove_diacritics 2");
INSERT INTO terms(terms, rank) VALUES ('rank', 'bm25(3.0, 1.0)');
"""  # noqa: S608 - constants of ours
"""The index holds no text of its own: passages are cut from the documents, so each character is stored once.

A document that repeats another is not stored, but its id stays in `ids` and leads to the one that is. A word in the
title counts three times as much as one in the text.
"""

INDEXES = "CREATE INDEX documents_by_url ON documents (url) WHERE url != '';"


def digest(text: str) -> bytes:
    """What two documents share when they are the same but for blanks."""
    return hashlib.blake2b(" ".join(text.split()).encode(), digest_size=16).digest()
