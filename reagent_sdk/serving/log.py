"""What the server says about itself: one line an event, `key=value`, never what a request or a reply holds."""

from __future__ import annotations

import json
import re
import sys
import threading
from datetime import UTC, datetime
from typing import TextIO

_PLAIN = re.compile(r"[\w./:@+*,-]+")


class EventLog:
    """Writes events in logfmt, which people read and log collectors parse.

    Args:
        stream: where to; stderr by default.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._lock = threading.Lock()

    def write(self, event: str, **fields: object) -> None:
        """Writes one event; fields that are None are left out."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        told = " ".join(f"{name}={_quoted(value)}" for name, value in fields.items() if value is not None)
        self.line(f"{now} {event} {told}".rstrip())

    def line(self, text: str) -> None:
        """Writes a line as it is; a reader that went away is no reason to stop serving."""
        try:
            with self._lock:
                self._stream.write(f"{text}\n")
                self._stream.flush()
        except (OSError, ValueError):
            return


def _quoted(value: object) -> str:
    text = f"{value:.1f}" if isinstance(value, float) else str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text)
