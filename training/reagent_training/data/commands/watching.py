"""How far a long pass has come: a line that moves on a terminal, a line now and then in a log."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from reagent_sdk.cli.terminal import console, to_stderr

T = TypeVar("T")

_PAUSE = 30.0
"""Seconds between two lines in a log."""


def watched(rows: Iterable[T], doing: str) -> Iterator[T]:
    """The same rows, counted on stderr as they pass.

    Args:
        rows: as many as there are; nobody knows before.
        doing: what is done to them.
    """
    from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    screen = console(stderr=True)
    columns = (SpinnerColumn(), TextColumn(doing), MofNCompleteColumn(), TimeElapsedColumn())
    told = time.monotonic()
    with Progress(*columns, console=screen, disable=not screen.is_terminal, transient=True) as progress:
        task = progress.add_task(doing, total=None)
        for count, row in enumerate(rows, start=1):
            yield row
            progress.advance(task)
            if not screen.is_terminal and time.monotonic() - told > _PAUSE:
                told = time.monotonic()
                to_stderr(f"{doing}: {count} rows")
