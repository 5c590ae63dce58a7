"""Reads members of zip archives in memory, with limits; nothing is ever unpacked to disk."""

from __future__ import annotations

import io
import posixpath
import zipfile
import zlib
from collections.abc import Sequence
from typing import IO

from reagent_sdk.tools.files.roots import FileProblem

MAX_DEPTH = 3
"""How many archives may lie in each other."""

_MAX_RATIO = 200
_HARMLESS = 8 << 20  # what stays below this is no bomb, whatever its ratio
_LISTED = 500
_STEP = 1 << 16


def open_archive(stream: IO[bytes]) -> zipfile.ZipFile:
    """Opens an archive.

    Raises:
        FileProblem: it is damaged.
    """
    try:
        return zipfile.ZipFile(stream)
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError) as error:
        raise FileProblem("Damaged", f"the archive cannot be read: {error}") from None


def listing(archive: zipfile.ZipFile, name: str) -> str:
    """What an archive holds, for people to read, and how to ask for a member."""
    lines = [f"{name} is an archive with {len(archive.infolist())} entries. Read one with {name}!MEMBER"]
    for info in archive.infolist()[:_LISTED]:
        unsafe = "  (cannot be read: its name leads outside the archive)" if _unsafe(info.filename) else ""
        lines.append(f"- {info.filename}  {'folder' if info.is_dir() else f'{info.file_size} bytes'}{unsafe}")
    if len(archive.infolist()) > _LISTED:
        lines.append(f"... and {len(archive.infolist()) - _LISTED} more")
    return "\n".join(lines)


def read_member(stream: IO[bytes], members: Sequence[str], *, limit: int) -> bytes:
    """Content of a member; each further name is a member of the archive before it.

    Args:
        stream: the outermost archive.
        members: names, from the outermost archive inwards.
        limit: bytes that all steps together may unpack.

    Raises:
        FileProblem: the archive is damaged, nested too deep, too large unpacked, or has no such member.
    """
    if len(members) > MAX_DEPTH:
        raise FileProblem("TooDeep", f"archives in archives are read {MAX_DEPTH} deep, not {len(members)}")
    data = b""
    for member in members:
        with open_archive(stream) as archive:
            data = _read(archive, member, limit)
        limit -= len(data)
        stream = io.BytesIO(data)
    return data


def check_package(stream: IO[bytes], *, limit: int) -> None:
    """Refuses an office file or e-book, each an archive, whose parts would unpack to too much.

    Their readers are built on `zipfile`, which never unpacks more of a part than its entry declares. So what is
    declared is what counts; parts that overlap count once for each.
    """
    with open_archive(stream) as archive:
        for info in archive.infolist():
            _check_ratio(info, info.file_size)
        total = sum(info.file_size for info in archive.infolist())
    if total > limit:
        raise FileProblem("ArchiveBomb", f"its parts unpack to {total} bytes; {limit} are allowed")


def _read(archive: zipfile.ZipFile, member: str, limit: int) -> bytes:
    if _unsafe(member):
        raise FileProblem("PathRefused", f"the member name {member!r} leads outside the archive")
    try:
        info = archive.getinfo(member)
    except KeyError:
        some = ", ".join(archive.namelist()[:20])
        raise FileProblem("NotFound", f"the archive has no member {member!r}; it has {some}") from None
    if info.is_dir():
        raise FileProblem("NotFound", f"{member!r} is a folder of the archive; name a file in it")
    if info.flag_bits & 1:
        raise FileProblem("Encrypted", f"{member!r} is protected by a password")
    read = bytearray()
    try:
        with archive.open(info) as content:
            while piece := content.read(_STEP):
                read += piece
                _check_ratio(info, len(read))
                if len(read) > limit:
                    raise FileProblem("ArchiveBomb", f"{member!r} unpacks to more than {limit} bytes")
    except (zipfile.BadZipFile, NotImplementedError, EOFError, OSError, zlib.error) as error:
        raise FileProblem("Damaged", f"{member!r} cannot be unpacked: {error}") from None
    return bytes(read)


def _check_ratio(info: zipfile.ZipInfo, size: int) -> None:
    if size > _HARMLESS and size > _MAX_RATIO * max(1, info.compress_size):
        raise FileProblem("ArchiveBomb", f"{info.filename!r} unpacks to more than {_MAX_RATIO} times its size")


def _unsafe(name: str) -> bool:
    name = name.replace("\\", "/")
    return name.startswith("/") or name[1:2] == ":" or ".." in name.split("/") or posixpath.normpath(name) == ".."
