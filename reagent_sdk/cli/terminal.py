"""Writing to the terminal: what models say can neither colour the screen nor move the cursor."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]{0,64}[ -/]{0,8}[@-~]"  # colours, cursor, screen
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c\n]{0,512}(?:\x07|\x1b\\|\x9c)"  # titles, links, clipboard
    r"|\x1b[ -/]{0,8}[0-~]"
)
_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # would show the text in another order than it has
    "\u2028\u2029\ufff9-\ufffb]"
)
_SURROGATE = re.compile("[\ud800-\udfff]")
_BAR = 20


def clean(text: str) -> str:
    """The text without control sequences and characters; line ends become `\\n`, tabs stay."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _SURROGATE.sub("\ufffd", _CONTROL.sub("", _SEQUENCE.sub("", text)))


def one_line(text: str, limit: int = 200) -> str:
    """The text cleaned, on one line, cut to a length."""
    line = " ".join(clean(text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def to_stderr(line: str) -> None:
    """Writes a line to stderr as it is."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def to_stdout(line: str) -> None:
    """Writes a line to stdout as it is."""
    sys.stdout.write(f"{line}\n")


def write_json(value: Any) -> None:
    """Writes a value to stdout as one line of JSON.

    In plain ASCII: it survives any locale, and characters that control a terminal are escaped like all others.
    """
    to_stdout(as_json(value))
    sys.stdout.flush()


def as_json(value: Any) -> str:
    """A value, pydantic models in it included, as one line of ASCII JSON."""
    from pydantic_core import to_jsonable_python

    return json.dumps(to_jsonable_python(value, fallback=str))


def console(*, stderr: bool = False) -> Console:
    """A console that neither highlights nor reads markup or emoji codes in what it prints."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, markup=False, emoji=False)


def is_live() -> bool:
    """Whether a person watches: both streams are terminals that can redraw a line."""
    return sys.stdout.isatty() and sys.stderr.isatty() and not console(stderr=True).is_dumb_terminal


def score_text(score: float) -> Text:
    """A score as a number and a bar."""
    from rich.text import Text

    full = int(score * _BAR)  # rounded down: only a perfect score fills the bar
    return Text.assemble((f"{score:.2f} ", "bold"), ("█" * full, "cyan"), ("░" * (_BAR - full), "dim"))
