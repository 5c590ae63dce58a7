"""Offline full-text search: SQLite FTS5 with BM25."""
