"""`file_reader`: documents, data and code below allowed folders as text, page by page."""

from __future__ import annotations

import os
import tempfile
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import anyio.to_thread

from reagent_sdk.tools.base import ToolResult
from reagent_sdk.tools.define import MethodTool, PageNumber
from reagent_sdk.tools.files.convert import DOCUMENT
from reagent_sdk.tools.files.process import FileLimits, Reply, run_worker
from reagent_sdk.tools.files.roots import FileProblem, Opened, Roots
from reagent_sdk.tools.files.search import passages
from reagent_sdk.tools.files.text import PAGE_CHARS, pages

_LISTED = 500
_REMEMBERED = 40_000_000  # characters, all files together


@dataclass(frozen=True)
class _Text:
    shown: str
    text: str
    notes: tuple[str, ...] = ()


async def read_document(data: bytes, media_type: str, *, limits: FileLimits | None = None) -> str:
    """Text of a document that was fetched from somewhere.

    Args:
        data: the document.
        media_type: what its server says it is, such as "application/pdf" or "text/html; charset=utf-8".
        limits: what reading it may take.

    Raises:
        FileProblem: it is too large, damaged, of a kind that cannot be read, or takes too long.
    """
    limits = limits or FileLimits()
    if len(data) > limits.max_bytes:
        raise FileProblem("TooLarge", f"the document has {len(data)} bytes; {limits.max_bytes} are allowed")
    with tempfile.TemporaryFile() as source:
        await anyio.to_thread.run_sync(source.write, data)
        source.flush()
        reply = await run_worker(DOCUMENT, source, limits, **_request("document", (), media_type, limits))
    return "\n\n".join((*(f"[{note}]" for note in _notes(reply)), reply.text))


class FileReader(MethodTool):
    """A tool that reads files below the given folders: pdf, docx, xlsx, pptx, epub, html, csv, json, code, zip.

    Every file is read in a process of its own with limits on time and memory, without network. What was read is
    remembered, so that the next page comes at once.

    Args:
        roots: folders whose files may be read; a relative path is taken to lie below the first.
        limits: what reading one file may take.

    Raises:
        InvalidInput: a root is not a folder.

    Example:
        reader = FileReader("reports")
        result = await reader.call({"path": "2024.pdf", "page": 2})
    """

    name = "file_reader"

    def __init__(
        self,
        roots: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
        *,
        limits: FileLimits | None = None,
    ) -> None:
        self._roots = Roots(roots)
        self._limits = limits or FileLimits()
        self._known: OrderedDict[tuple[object, ...], _Text] = OrderedDict()

    async def _run(self, path: str, page: PageNumber = 1, query: str = "") -> ToolResult:
        """Read a file as text: pdf, docx, xlsx, pptx, epub, html, csv, json, code and others, one page at a time.

        A folder or zip archive gives a list of what it holds; 'archive.zip!member' is the path of a file in an archive.

        Args:
            path: Path of the file, relative to the folder of files; '.' lists that folder.
            page: Number of the page, from 1.
            query: Words to look for; given these, only the passages about them are returned, with their page numbers.
        """
        try:
            found = await self._text(path)
        except FileProblem as problem:
            return ToolResult.failed(problem.kind, str(problem))
        cut = pages(found.text)
        if query.strip():
            return ToolResult(text=_answer(found, cut, query))
        if not 1 <= page <= len(cut):
            return ToolResult.failed("NoSuchPage", f"{found.shown} ends with page {len(cut)}; there is no page {page}")
        head = [found.shown, *found.notes]
        if len(cut) > 1:
            head.append(f"page {page} of {len(cut)}")
        return ToolResult(text=f"[{'; '.join(head)}]\n{cut[page - 1]}")

    async def _text(self, path: str) -> _Text:
        file, members = self._roots.split(path)
        with self._roots.opened(file) as opened:
            if opened.is_folder:
                if members:
                    raise FileProblem("NotFound", f"{opened.shown!r} is a folder, not an archive")
                return _Text(opened.shown, await anyio.to_thread.run_sync(_folder, opened))
            key = (opened.identity, members)
            if key not in self._known:
                self._remember(key, await self._convert(opened, members))
            self._known.move_to_end(key)
            return self._known[key]

    async def _convert(self, opened: Opened, members: tuple[str, ...]) -> _Text:
        if opened.status.st_size > self._limits.max_bytes:
            raise FileProblem(
                "TooLarge",
                f"{opened.shown!r} has {opened.status.st_size} bytes; {self._limits.max_bytes} are allowed",
            )
        request = _request(opened.shown, members, "", self._limits)
        reply = await run_worker(DOCUMENT, opened.fd, self._limits, **request)
        return _Text("!".join((opened.shown, *members)), reply.text, _notes(reply))

    def _remember(self, key: tuple[object, ...], text: _Text) -> None:
        self._known[key] = text
        while len(self._known) > 1 and sum(len(known.text) for known in self._known.values()) > _REMEMBERED:
            self._known.popitem(last=False)


def _request(name: str, members: tuple[str, ...], media_type: str, limits: FileLimits) -> dict[str, Any]:
    sizes = {"max_bytes": limits.max_bytes, "max_unpacked": limits.max_unpacked}
    return {"name": name, "members": list(members), "media_type": media_type, **sizes}


def _notes(reply: Reply) -> tuple[str, ...]:
    cut = ("only the beginning, because the file holds too much text",) if reply.facts["cut"] else ()
    return (*reply.facts["notes"], *cut)


def _folder(opened: Opened) -> str:
    with os.scandir(opened.fd) as entries:
        found = sorted(f"{entry.name}/" if entry.is_dir(follow_symlinks=False) else entry.name for entry in entries)
    more = [f"... and {len(found) - _LISTED} more"] if len(found) > _LISTED else []
    return "\n".join((f"A folder with {len(found)} entries:", *found[:_LISTED], *more))


def _answer(found: _Text, cut: Sequence[str], query: str) -> str:
    matching = passages(cut, query)
    if not matching:
        return (
            f"[{found.shown}; pages: {len(cut)}]\nNothing in it matches {query!r}. Try other words, or read its pages."
        )
    text = "\n\n".join(f"[page {number} of {len(cut)}]\n{passage.strip()}" for number, passage in matching)
    return f"[{'; '.join((found.shown, *found.notes))}; passages about {query!r}]\n{text[:PAGE_CHARS]}"
