"""Reads a body that may be endless, or small on the wire and huge unpacked."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reagent_sdk.tools.web.errors import ContentRefused

if TYPE_CHECKING:
    import aiohttp

_CHUNK = 64 * 2**10
_MAX_MEMBERS = 16
"""How many gzip files in a row are read. Thousands of empty ones are an attack on the processor."""

GZIP, ZLIB, RAW = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS, -zlib.MAX_WBITS


@dataclass(frozen=True, slots=True)
class Body:
    """The unpacked bytes, and whether the limit cut them off."""

    data: bytes
    truncated: bool = False


async def read_body(reply: aiohttp.ClientResponse, max_bytes: int) -> Body:
    """Reads and unpacks until the end or the limit, whichever comes first, and never holds more than the limit.

    Raises:
        ContentRefused: an encoding that was not asked for, or packed data that is broken.
    """
    unpack = _unpacker(reply.headers.get("Content-Encoding", ""))
    data, wire = bytearray(), 0
    async for chunk in reply.content.iter_chunked(_CHUNK):
        wire += len(chunk)
        data += unpack.feed(chunk, max_bytes + 1 - len(data)) if unpack else chunk
        if len(data) > max_bytes or wire > max_bytes:
            reply.close()
            return Body(bytes(memoryview(data)[:max_bytes]), truncated=True)
    if unpack and wire and not unpack.finished:
        return Body(bytes(data), truncated=True)
    return Body(bytes(data))


def _unpacker(encoding: str) -> Unpacker | None:
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return None
    if name in ("gzip", "x-gzip"):
        return Unpacker(GZIP)
    if name == "deflate":
        return Unpacker(None)
    raise ContentRefused(f"the body comes packed as {name[:40]!r}, which was not asked for")


class Unpacker:
    """Unpacks a stream piece by piece, never more than asked for at once.

    Args:
        window: zlib's window bits; None finds out whether "deflate" means zlib's format, as the standard says, or the
            bare one that some servers send.
    """

    def __init__(self, window: int | None) -> None:
        self._window = window
        self._stream = zlib.decompressobj(window) if window is not None else None
        self._members = 1

    @property
    def finished(self) -> bool:
        """Whether the packed data came to its end."""
        return self._stream is not None and self._stream.eof

    def feed(self, chunk: bytes, room: int) -> bytes:
        """Unpacks a piece into at most `room` bytes; what does not fit is dropped.

        Raises:
            ContentRefused: the data is broken.
        """
        if self._stream is None:
            self._window = ZLIB if chunk[0] & 0x0F == 8 else RAW
            self._stream = zlib.decompressobj(self._window)
        unpacked = bytearray()
        try:
            while chunk and len(unpacked) < room:
                if self._stream.eof and not self._next_member(chunk):
                    break
                unpacked += self._stream.decompress(chunk, room - len(unpacked))
                chunk = self._stream.unused_data
        except zlib.error as error:
            raise ContentRefused(f"the packed body is broken: {error}") from None
        return bytes(unpacked)

    def _next_member(self, chunk: bytes) -> bool:
        """Goes on with the next gzip file in a row; anything else after the end is padding, and ignored."""
        if self._window != GZIP or not chunk.startswith(b"\x1f"):
            return False
        self._members += 1
        if self._members > _MAX_MEMBERS:
            raise ContentRefused(f"the body is more than {_MAX_MEMBERS} gzip files in a row")
        self._stream = zlib.decompressobj(GZIP)
        return True
