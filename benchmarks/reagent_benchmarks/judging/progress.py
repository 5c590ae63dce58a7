"""How far judging has come: a bar on a terminal, a line now and then in a log."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from typing import Self

from reagent_sdk.cli.terminal import console, to_stderr

_PAUSE = 30.0
"""Seconds between two lines in a log."""


class JudgingProgress(AbstractContextManager["JudgingProgress"]):
    """Counts verdicts on stderr.

    Args:
        total: how many are to come.
    """

    def __init__(self, total: int) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        screen = console(stderr=True)
        columns = (TextColumn("judging"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=screen, disable=not screen.is_terminal, redirect_stdout=False)
        self._task = self._bar.add_task("judging", total=total)
        self._live = screen.is_terminal
        self._total, self._done = total, 0
        self._began = self._told = time.monotonic()

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def step(self) -> None:
        """One more verdict."""
        self._done += 1
        self._bar.advance(self._task)
        now = time.monotonic()
        if not self._live and (now - self._told > _PAUSE or self._done == self._total):
            self._told = now
            to_stderr(f"judged {self._done} of {self._total}, one in {(now - self._began) / self._done:.1f} s")
