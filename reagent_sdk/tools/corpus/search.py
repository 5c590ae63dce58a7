"""Full-text search in an offline corpus: SQLite FTS5, ranked by BM25."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from urllib.parse import quote, unquote

import anyio.to_thread

from reagent_sdk.errors import InvalidInput
from reagent_sdk.frozen import Frozen
from reagent_sdk.tools.corpus.pool import Pool
from reagent_sdk.tools.corpus.snippet import around
from reagent_sdk.tools.corpus.terms import match_expression
from reagent_sdk.tools.search.providers.base import Hit, ProviderDown, hit_of

SCHEME = "corpus:"

_PASSAGES_A_DOCUMENT = 4
"""More passages are looked at than asked for, because several may be of one document."""

_FIND = """
SELECT passages.document, passages.start, passages.stop
FROM terms JOIN passages ON passages.n = terms.rowid
WHERE terms MATCH ? ORDER BY terms.rank, terms.rowid LIMIT ? OFFSET ?
"""


class Document(Frozen):
    """A document of a corpus."""

    id: str
    title: str
    text: str
    url: str = ""


class CorpusInfo(Frozen):
    """What a corpus holds."""

    path: Path
    documents: int
    passages: int
    bytes: int
    built_at: str


class CorpusSearch:
    """A search provider over a file written by `reagent corpus build`.

    The file is only ever read. One object serves any number of threads and event loops. When the file is rebuilt, open
    objects go on with the old one.

    Hits have addresses `corpus:ID`, which `open` turns into text, so that a browsing tool can follow them.

    Args:
        path: the corpus file.
        name: name in results and errors.
        snippet_chars: longest snippet. Of a longer passage the part with the most words of the query is shown.

    Raises:
        InvalidInput: the file is missing or is no corpus.
    """

    def __init__(self, path: str | Path, *, name: str = "corpus", snippet_chars: int = 900) -> None:
        self.name = name
        self.path = Path(path)
        self._snippet_chars = snippet_chars
        self._pool = Pool(self.path)

    def __repr__(self) -> str:
        return f"CorpusSearch({str(self.path)!r})"

    async def search(self, query: str, limit: int) -> list[Hit]:
        """The best hits, in a worker thread.

        Raises:
            ProviderDown: the file is damaged.
        """
        try:
            return await anyio.to_thread.run_sync(self.find, query, limit)
        except sqlite3.Error as error:
            raise ProviderDown(f"the corpus file cannot be read ({error}); build it again") from None

    def find(self, query: str, limit: int = 5) -> list[Hit]:
        """The best documents for a query, each with its best passage. Any text is a query.

        Args:
            query: words; a document need not have all of them.
            limit: most hits.
        """
        expression = match_expression(query)
        if expression is None or limit < 1:
            return []
        best: dict[int, tuple[int, int]] = {}
        step, offset = limit * _PASSAGES_A_DOCUMENT, 0
        with self._pool.borrowed() as database:
            while len(best) < limit:
                rows = database.execute(_FIND, (expression, step, offset)).fetchall()
                for document, start, stop in rows:
                    best.setdefault(document, (start, stop))
                if len(rows) < step:
                    break
                step, offset = step * 4, offset + step
            chosen = list(best.items())[:limit]
            hits = [self._hit(database, query, document, *span) for document, span in chosen]
        return [hit for hit in hits if hit is not None]

    def get(self, doc_id: str) -> Document:
        """A document by its id, or by the id of a duplicate that was left out.

        Raises:
            InvalidInput: there is none.
        """
        with self._pool.borrowed() as database:
            found = _document(database, "n = (SELECT n FROM ids WHERE id = ?)", doc_id)
        if found is None:
            raise InvalidInput(f"the corpus has no document {doc_id[:100]!r}")
        return found

    def open(self, url: str) -> str:
        """The text behind an address: `corpus:ID` as in the hits, or the document's own URL.

        Raises:
            InvalidInput: there is no such document.
        """
        with self._pool.borrowed() as database:
            if url.startswith(SCHEME):
                wanted = url.removeprefix(SCHEME).removeprefix("//")
                # Both forms: models copy addresses with and without their escapes.
                ids = dict.fromkeys((unquote(wanted), wanted))
                by_id = (_document(database, "n = (SELECT n FROM ids WHERE id = ?)", one) for one in ids)
                found = next((one for one in by_id if one is not None), None)
            else:
                found = _document(database, "url = ? AND url != ''", url)
        if found is None:
            raise InvalidInput(f"the corpus has no document at {url[:100]!r}; search for it first")
        head = [found.title] if found.title else []
        head += [found.url] if found.url else []
        return "\n".join(head) + ("\n\n" if head else "") + found.text

    def info(self) -> CorpusInfo:
        """What the corpus holds."""
        with self._pool.borrowed() as database:
            meta = dict(database.execute("SELECT key, value FROM meta").fetchall())
        return CorpusInfo(
            path=self.path,
            documents=int(meta["documents"]),
            passages=int(meta["passages"]),
            bytes=self.path.stat().st_size,
            built_at=meta["built_at"],
        )

    def close(self) -> None:
        """Closes the file. It is opened again when the object is used again."""
        self._pool.close()

    def _hit(self, database: sqlite3.Connection, query: str, document: int, start: int, stop: int) -> Hit | None:
        columns = "SELECT id, title, substr(text, ?, ?) FROM documents WHERE n = ?"
        doc_id, title, text = database.execute(columns, (start + 1, stop - start, document)).fetchone()
        return hit_of(self.name, title or doc_id, url_of(doc_id), around(text, query, self._snippet_chars))


def url_of(doc_id: str) -> str:
    """The address of a document in hits."""
    return SCHEME + quote(doc_id, safe="/#~:@!$&'()*+,;=")


def _document(database: sqlite3.Connection, condition: str, value: str) -> Document | None:
    value = value.encode("utf-8", "replace").decode()
    columns = f"SELECT id, title, text, url FROM documents WHERE {condition} ORDER BY n LIMIT 1"  # noqa: S608 - ours
    row = database.execute(columns, (value,)).fetchone()
    return Document(id=row[0], title=row[1], text=row[2], url=row[3]) if row else None
