"""What the kernel's interpreter is started with: ipykernel, made to send its output in small pieces.

A courtesy, not a wall: code in the kernel can undo it, and then large messages are dropped on our side.
"""

from __future__ import annotations

from typing import Final

LAUNCH: Final = """
from IPython.core.formatters import PlainTextFormatter
from ipykernel import iostream, kernelapp

PIECE, LONGEST = 65_536, 500_000

def by_pieces(plain):
    def write(self, text):
        if not isinstance(text, str) or len(text) <= PIECE // 16 and getattr(self, "_unsent", 0) < PIECE:
            self._unsent = getattr(self, "_unsent", 0) + len(text)
            return plain(self, text)
        for start in range(0, len(text), PIECE):
            plain(self, text[start : start + PIECE])
            self.flush()
        self._unsent = 0
        return len(text)
    return write

def shortened(plain):
    def formatted(self, value):
        text = plain(self, value)
        if not isinstance(text, str) or len(text) <= LONGEST:
            return text
        half = LONGEST // 2
        return f"{text[:half]}\\n[... {len(text) - LONGEST:,} characters left out ...]\\n{text[-half:]}"
    return formatted

iostream.OutStream.write = by_pieces(iostream.OutStream.write)
PlainTextFormatter.__call__ = shortened(PlainTextFormatter.__call__)
del by_pieces, shortened, iostream, PlainTextFormatter
kernelapp.launch_new_instance()
"""
