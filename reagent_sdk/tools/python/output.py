"""What a run of code printed, showed and raised, within bounds, whatever the kernel sends."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from reagent_sdk.tools.base import ToolResult

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_BASE64 = re.compile(r"[A-Za-z0-9+/=\s]+")
_MAX_IMAGES = 8
_MAX_IMAGE_BYTES = 4 * 2**20
_PICTURES = ("image/png", "image/jpeg")
_FLOOD = 50  # times the cap: that much output is taken as endless


class Output:
    """Collects the messages of one call: the start and the end of the text, and the first pictures."""

    def __init__(self, max_chars: int) -> None:
        self._cap = max_chars
        self._head: list[str] = []
        self._room = max_chars - max_chars // 4
        self._tail = ""
        self._seen = 0
        self._pictures: list[str] = []
        self._dropped_pictures = 0
        self._picture_bytes = 0
        self.error: str | None = None
        self.lost = False

    @property
    def endless(self) -> bool:
        """Whether so much came in that it is not worth reading on."""
        return self._seen > max(1_000_000, _FLOOD * self._cap)

    def take(self, kind: object, content: Mapping[str, Any]) -> None:
        """Takes one message of the kernel."""
        if kind == "stream":
            self.write(_word(content.get("text")))
        elif kind in ("execute_result", "display_data"):
            self._show(content.get("data"))
        elif kind == "error":
            self.error = _word(content.get("ename"))[:200] or "Error"
            lines = content.get("traceback")
            self._line("\n".join(map(_word, lines)) if isinstance(lines, list) else self.error)

    def write(self, text: str) -> None:
        """Adds text; what is beyond the cap pushes out the middle."""
        text = _ANSI.sub("", text).replace("\r\n", "\n")  # shell commands run in a terminal of their own
        self._seen += len(text)
        if self._room > 0:
            self._head.append(text[: self._room])
            text, self._room = text[self._room :], self._room - len(text)
        if text:
            self._tail = (self._tail + text)[-(self._cap // 4) :] if self._cap >= 4 else ""

    def result(self, notice: str = "", error: str | None = None) -> ToolResult:
        """All of it, with what the model must know about how it went."""
        head = "".join(self._head)
        cut = self._seen - len(head) - len(self._tail)
        middle = f"\n[... {cut:,} of {self._seen:,} characters left out ...]\n" if cut > 0 else ""
        parts = [f"{head}{middle}{self._tail}".rstrip("\n")]
        if self._dropped_pictures:
            parts.append(f"[{self._dropped_pictures} pictures left out: too many or too large]")
        if self.lost:
            parts.append("[output larger than 8 MB in one piece was lost]")
        parts.append(f"[{notice}]" if notice else "")
        text = "\n".join(part for part in parts if part)
        return ToolResult(text=text or "(no output)", error=error or self.error, images=tuple(self._pictures))

    def _show(self, data: object) -> None:
        if not isinstance(data, dict):
            return
        for kind in _PICTURES:
            if isinstance(data.get(kind), str):
                self._picture(kind, data[kind])
        self._line(_word(data.get("text/plain")))

    def _picture(self, kind: str, encoded: str) -> None:
        self._picture_bytes += len(encoded)
        fits = len(self._pictures) < _MAX_IMAGES and self._picture_bytes * 3 // 4 <= _MAX_IMAGE_BYTES
        if fits and _BASE64.fullmatch(encoded):
            self._pictures.append(f"data:{kind};base64,{''.join(encoded.split())}")
        else:
            self._dropped_pictures += 1
            self._seen += len(encoded) if self.endless else 0

    def _line(self, text: str) -> None:
        if not text:
            return
        before = self._tail or (self._head[-1] if self._head else "")
        self.write(f"{'' if not before or before.endswith(chr(10)) else chr(10)}{text}\n")


def _word(value: object) -> str:
    return value if isinstance(value, str) else ""
