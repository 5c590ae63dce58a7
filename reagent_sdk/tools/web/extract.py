"""The main text of an HTML page, whatever the page does to the parser."""

from __future__ import annotations

import html as html_entities
import re
import tempfile
from collections.abc import Mapping
from typing import IO, Any

import anyio.to_thread

from reagent_sdk.errors import MissingExtra
from reagent_sdk.tools.files.process import FileLimits, run_worker

_SMALL = 64_000
_LONGEST = 4_000_000
_WORKER = "reagent_sdk.tools.web.extract:extract_in_process"
_TITLE = re.compile(r"<title\b[^<>]{0,200}>([^<]{1,400})", re.IGNORECASE)
_SILENT = frozenset(("script", "style", "noscript", "template", "svg", "head"))
_BLOCKS = frozenset(
    (
        *("address", "article", "blockquote", "br", "dd", "div", "dl", "dt", "footer", "form", "h1", "h2", "h3"),
        *("h4", "h5", "h6", "header", "hr", "li", "main", "nav", "ol", "option", "p", "pre", "section", "table"),
        *("td", "th", "title", "tr", "ul"),
    )
)


def title_of(html: str) -> str:
    """The page's title, or an empty text."""
    found = _TITLE.search(html[:_SMALL])
    return " ".join(html_entities.unescape(found[1]).split()) if found else ""


async def main_text(html: str, seconds: float) -> str:
    """The main text as Markdown; all visible text where no main part can be told from the rest.

    A small page is read in a thread. A larger one gets a process of its own that can be killed, because parsers have
    weak spots: a megabyte of attributes on one tag takes libxml2 more than a minute, and no thread can be stopped.

    Args:
        html: the page; only its first four million characters are read.
        seconds: time for a page that gets a process.

    Raises:
        FileProblem: the process took too long, or broke.
        MissingExtra: trafilatura is not installed.
    """
    if len(html) <= _SMALL:
        return await anyio.to_thread.run_sync(extract, html, abandon_on_cancel=True)
    limits = FileLimits(seconds=seconds, memory_mb=2048)
    with tempfile.TemporaryFile() as source:
        source.write(html[:_LONGEST].encode("utf-8", "replace"))
        source.flush()
        return (await run_worker(_WORKER, source, limits)).text


def extract_in_process(stream: IO[bytes], arguments: Mapping[str, Any]) -> tuple[dict[str, Any], bytes]:
    """What the process of :func:`main_text` does."""
    return {}, extract(stream.read().decode("utf-8")).encode("utf-8", "replace")


def extract(html: str) -> str:
    """The main text, or else all visible text.

    Raises:
        MissingExtra: trafilatura is not installed.
    """
    try:
        import trafilatura
    except ImportError:
        raise MissingExtra("reading web pages", "tools") from None
    if not html.strip():
        return ""
    found: str | None
    try:
        # A text, never bytes: given bytes it would unpack compressed ones, without any limit.
        found = trafilatura.extract(html, output_format="markdown", include_comments=False, favor_recall=True)
    except Exception:  # it raises whatever lxml or its own assumptions about a page raise; there is a second way
        found = None
    return (found or "").strip() or visible_text(html)


def visible_text(html: str) -> str:
    """All text outside scripts and styles, a line for each block. Builds no tree, so that deep nesting is no matter."""
    from lxml import etree  # type: ignore[import-untyped]

    collected = _Text()
    parser = etree.HTMLParser(target=collected, huge_tree=True, recover=True)
    try:
        parser.feed(html)
        text: str = parser.close()
    except (etree.LxmlError, ValueError):
        text = collected.close()
    lines = (" ".join(line.split()) for line in text.split("\n"))
    return "\n".join(line for line in lines if line)


class _Text:
    """Takes a parser's events and keeps the text."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._silent: list[str] = []

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if tag in _SILENT:
            self._silent.append(tag)
        elif tag in _BLOCKS:
            self._parts.append("\n")

    def end(self, tag: str) -> None:
        if self._silent and self._silent[-1] == tag:
            self._silent.pop()
        elif tag in _BLOCKS:
            self._parts.append("\n")

    def data(self, data: str) -> None:
        if not self._silent:
            self._parts.append(data)

    def close(self) -> str:
        return "".join(self._parts)
