"""A long benchmark in parts, with a log for each: inspect_ai keeps what it knows of a log's samples in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from inspect_ai import Task

PART = 1000
"""Attempts at questions in a part. Each takes about 12 KB of memory until the part ends."""


class Part(NamedTuple):
    """Some of a task's questions, the folder for their log, and which part of how many this is."""

    task: Task
    folder: Path
    number: int
    of: int


def in_parts(task: Task, folder: Path, epochs: int = 1) -> Iterator[Part]:
    """A task with a part of its questions at a time.

    Short benchmarks are one part, in the folder itself. The same questions make the same parts, so that a run that was
    interrupted finds its logs again.

    Args:
        task: it is changed; work on it before the next part is asked for.
        folder: of the whole run.
        epochs: how often each question is asked.
    """
    from inspect_ai import task_with

    questions, size = task.dataset, max(1, PART // epochs)
    if len(questions) <= size:
        yield Part(task, folder, 1, 1)
        return
    starts = range(0, len(questions), size)
    for number, start in enumerate(starts, start=1):
        some = task_with(task, dataset=questions[start : start + size])
        yield Part(some, folder / f"part-{number:03}", number, len(starts))
