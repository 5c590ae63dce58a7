"""Reading a reply's token counts while it passes by."""

from __future__ import annotations

from reagent_sdk.clients.replies import json_object, usage_from
from reagent_sdk.errors import BadReply
from reagent_sdk.usage import Usage

_LINE = 64 * 2**10


def usage_of(body: bytes) -> Usage | None:
    """The usage that a whole JSON reply reports, None when it reports none that can be true."""
    try:
        reported = json_object(body).get("usage")
    except BadReply:
        return None
    usage = usage_from(reported)
    return None if usage.unmetered_calls else usage


class StreamUsage:
    """Finds the usage in a stream of server-sent events, however its bytes are cut.

    Attributes:
        usage: the last one reported so far.
    """

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self._line = bytearray()
        self._too_long = False

    def feed(self, piece: bytes) -> None:
        """Takes the next bytes of the stream."""
        *whole, rest = piece.split(b"\n")
        for end in whole:
            self._add(end)
            self._end_line()
        self._add(rest)

    def _add(self, part: bytes) -> None:
        if len(self._line) + len(part) > _LINE:
            self._too_long = True
            self._line.clear()
        if not self._too_long:
            self._line += part

    def _end_line(self) -> None:
        line = bytes(self._line)
        self._line.clear()
        if not self._too_long and line.startswith(b"data:") and b'"usage"' in line:
            self.usage = usage_of(line.removeprefix(b"data:")) or self.usage
        self._too_long = False
