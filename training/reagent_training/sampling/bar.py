"""A progress bar on stderr that says what was spent; a line now and then where it cannot move."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from reagent_sdk.cli.terminal import console, to_stderr

_PAUSE = 30.0
"""Seconds between two lines in a log."""


@contextmanager
def bar(doing: str, done: int, total: int) -> Iterator[Callable[[str], None]]:
    """A bar; the function that it gives moves it on by one.

    Args:
        doing: what is done.
        done: pieces that an earlier run did.
        total: all pieces.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    screen = console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[spent]}"),
        TimeRemainingColumn(),
    )
    told, count = time.monotonic(), done
    with Progress(*columns, console=screen, disable=not screen.is_terminal, transient=True) as progress:
        task = progress.add_task(doing, completed=done, total=total, spent="")

        def move(spent: str) -> None:
            nonlocal told, count
            count += 1
            progress.update(task, completed=count, spent=spent)
            if not screen.is_terminal and time.monotonic() - told > _PAUSE:
                told = time.monotonic()
                to_stderr(f"{doing}: {count} of {total}, {spent}")

        yield move
