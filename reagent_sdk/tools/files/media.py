"""Where pictures and recordings come from: a file below the roots, a member of an archive there, or a data URL."""

from __future__ import annotations

import base64
import binascii
import io
import re
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import IO, Any
from urllib.parse import unquote_to_bytes

from reagent_sdk.errors import MissingExtra
from reagent_sdk.tools.files.archives import read_member
from reagent_sdk.tools.files.process import FileLimits, Reply, run_worker
from reagent_sdk.tools.files.roots import FileProblem, Roots

_DATA = re.compile(r"data:[^,]{0,200},")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


@dataclass(frozen=True)
class Media:
    """An open picture or recording, and its name for people to read."""

    source: int | IO[bytes]
    shown: str
    members: tuple[str, ...]
    limits: FileLimits

    async def process(self, function: str, **arguments: Any) -> Reply:
        """Calls a function on it in a process of its own; see `run_worker`."""
        request = {
            "members": list(self.members),
            "max_bytes": self.limits.max_bytes,
            "max_unpacked": self.limits.max_unpacked,
            **arguments,
        }
        return await run_worker(function, self.source, self.limits, **request)


@asynccontextmanager
async def opened_media(roots: Roots, given: str, limits: FileLimits) -> AsyncIterator[Media]:
    """Opens what a tool was given.

    Args:
        roots: folders that may be read.
        given: a path or a data URL.
        limits: what reading it may take.

    Raises:
        FileProblem: it is an address, lies outside, or is too large or no valid data URL.
    """
    if given.startswith("data:"):
        with tempfile.TemporaryFile() as source:
            source.write(_inline(given, limits.max_bytes))
            source.flush()
            yield Media(source, "data URL", (), limits)
        return
    if _ADDRESS.match(given):
        raise FileProblem(
            "NotFetched", "this tool reads files and fetches nothing from addresses; use browse for pages"
        )
    file, members = roots.split(given)
    with roots.opened(file) as opened:
        if opened.is_folder:
            raise FileProblem("NotFound", f"{opened.shown!r} is a folder; give a file")
        if opened.status.st_size > limits.max_bytes:
            size = opened.status.st_size
            raise FileProblem("TooLarge", f"{opened.shown!r} has {size} bytes; {limits.max_bytes} are allowed")
        yield Media(opened.fd, "!".join((opened.shown, *members)), members, limits)


def media_bytes(stream: IO[bytes], arguments: Mapping[str, Any]) -> bytes:
    """The picture or recording itself. Runs in the reading process."""
    data = stream.read(arguments["max_bytes"] + 1)
    if len(data) > arguments["max_bytes"]:
        raise FileProblem("TooLarge", f"the file is larger than {arguments['max_bytes']} bytes")
    members = arguments["members"]
    return read_member(io.BytesIO(data), members, limit=arguments["max_unpacked"]) if members else data


def needs(problem: FileProblem, what: str, extra: str) -> FileProblem:
    """The same problem; where a package was missing, it names the extra that brings it."""
    if problem.kind != "MissingExtra":
        return problem
    return FileProblem(problem.kind, f"{MissingExtra(what, extra)} ({problem})")


def _inline(url: str, limit: int) -> bytes:
    head = _DATA.match(url)
    if head is None:
        raise FileProblem("Damaged", "this is no data URL; it begins like 'data:image/png;base64,'")
    if len(url) > 3 * limit + 200:
        raise FileProblem("TooLarge", f"the data URL holds more than {limit} bytes")
    body = url[head.end() :]
    try:
        encoded = head.group().endswith(";base64,")
        data = base64.b64decode(body, validate=True) if encoded else unquote_to_bytes(body)
    except (binascii.Error, ValueError):
        raise FileProblem("Damaged", "the data URL is no valid base64") from None
    if len(data) > limit:
        raise FileProblem("TooLarge", f"the data URL holds more than {limit} bytes")
    return data
