"""The moving part of the live view: what the model does right now. It is wiped when the attempt is done."""

from __future__ import annotations

import time
from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from reagent_sdk.cli.terminal import clean

LINES = 6
_TAIL = 4_000
_BAR_WIDTH = 24


class Working:
    """A status line, and below it the last lines of the text that streams in.

    Its height is bounded, so that a long text scrolls inside it and never tears the screen.
    """

    def __init__(self) -> None:
        self._spinner = Spinner("dots", style="cyan")
        self.begin("")

    def begin(self, who: str) -> None:
        """Somebody else's turn; the text of the former one goes."""
        self._who = who
        self._text = ""
        self._prompt: tuple[int, int] | None = None
        self._since = time.monotonic()

    def read(self, done: int, total: int) -> None:
        """The model has read so much of its prompt."""
        self._prompt = (done, total)
        self._text = ""  # it begins anew: a second ask of the judge

    def write(self, text: str) -> None:
        """The model wrote this."""
        self._prompt = None
        self._text = (self._text + text)[-_TAIL:]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterable[RenderableType]:
        line = Table.grid(padding=(0, 1))
        line.add_row(self._spinner, *self._status())
        yield line
        text = Text(clean(self._text).strip(), style="dim")
        for one in text.wrap(console, max(10, options.max_width - 4))[-LINES:]:
            yield Padding(one, (0, 0, 0, 2))

    def _status(self) -> list[RenderableType]:
        waited = Text(f"{time.monotonic() - self._since:.0f} s", style="dim")
        if self._prompt is None:
            return [Text(f"{self._who} {'writes' if self._text else 'works'}"), waited] if self._who else []
        done, total = self._prompt
        bar = ProgressBar(total=max(1, total), completed=done, width=_BAR_WIDTH)
        return [Text(f"{self._who} reads"), bar, Text(f"{done}/{total} tokens", style="dim"), waited]
