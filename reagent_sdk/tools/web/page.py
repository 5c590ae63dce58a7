"""From a URL to readable text, whatever stands behind it."""

from __future__ import annotations

import http
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

import anyio.to_thread

from reagent_sdk.tools.files.roots import FileProblem
from reagent_sdk.tools.web.extract import main_text, title_of
from reagent_sdk.tools.web.fetch import Fetcher, is_text
from reagent_sdk.tools.web.settings import Fetched
from reagent_sdk.tools.web.urls import shown

ReadDocument: TypeAlias = Callable[[bytes, str], str | Awaitable[str]]
"""Text of a document: takes its bytes and its media type."""

OpenUrl: TypeAlias = Callable[[str], str | Awaitable[str | None] | None]
"""Text of a `corpus:` URL; None when the corpus does not have it."""

_HTML = ("text/html", "application/xhtml+xml")
_CORPUS = "corpus:"


class PageProblem(Exception):
    """There is no text to show. `kind` is the error that the tool's result names."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Page:
    """Text to read. All of it is hostile, the title included."""

    url: str
    text: str
    title: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Loader:
    """Gets the text behind URLs.

    Attributes:
        fetcher: fetches what is on the web.
        read_document: reads PDFs and office files; None for none.
        open_url: opens `corpus:` URLs; None for none.
        seconds: time for finding the main text of a large page.
    """

    fetcher: Fetcher
    read_document: ReadDocument | None = None
    open_url: OpenUrl | None = None
    seconds: float = 20.0

    async def load(self, url: str) -> Page:
        """The text behind a URL.

        Raises:
            FetchError: nothing was fetched.
            PageProblem: what was fetched is an error page, holds no text or cannot be parsed.
        """
        if url.strip().lower().startswith(_CORPUS):
            return await self._from_corpus(url.strip())
        fetched = await self.fetcher.get(url)
        if not fetched.ok:
            raise PageProblem("HttpError", f"{shown(fetched.url)} answered {_status(fetched.status)}")
        title = ""
        if not is_text(fetched.media_type):
            text = await self._from_document(fetched)
        else:
            text = fetched.text or ""
            if fetched.media_type in _HTML:
                title, text = title_of(text), await self._main_text(text, fetched.url)
        if not text.strip():
            raise PageProblem("EmptyPage", f"{shown(fetched.url)} holds no text; it may need JavaScript to show any")
        return Page(fetched.url, text, title, fetched.notes)

    async def _main_text(self, html: str, url: str) -> str:
        try:
            return await main_text(html, self.seconds)
        except FileProblem as problem:
            raise PageProblem(problem.kind, f"the HTML of {shown(url)} could not be parsed: {problem}") from None

    async def _from_document(self, fetched: Fetched) -> str:
        what = f"{shown(fetched.url)} is a document ({fetched.media_type})"
        if self.read_document is None:
            raise PageProblem("NoDocumentReader", f"{what}, and nothing here reads those")
        if fetched.truncated:
            raise PageProblem("TooLarge", f"{what} of more than {len(fetched.body)} bytes, too large to be read")
        if inspect.iscoroutinefunction(self.read_document):
            text: str = await self.read_document(fetched.body, fetched.media_type)
            return text
        return await _awaited(await anyio.to_thread.run_sync(self.read_document, fetched.body, fetched.media_type))

    async def _from_corpus(self, url: str) -> Page:
        if self.open_url is None:
            raise PageProblem("NoCorpus", f"{shown(url)} is in a corpus, and none is open here")
        opened = self.open_url(url)
        text = await opened if inspect.isawaitable(opened) else opened
        if text is None:
            raise PageProblem("NotFound", f"{shown(url)} is not in the corpus")
        if not text.strip():
            raise PageProblem("EmptyPage", f"{shown(url)} holds no text")
        return Page(url, text)


async def _awaited(value: str | Awaitable[str]) -> str:
    return value if isinstance(value, str) else await value


def _status(status: int) -> str:
    try:
        return f"{status} {http.HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
