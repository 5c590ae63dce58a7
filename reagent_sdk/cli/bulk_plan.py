"""What the three parties to bulk judging tell each other: the command, the foreman and the workers. Plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from reagent_sdk.cli.terminal import one_line

RowData: TypeAlias = tuple[str, int, bytes]
"""Id, line and text of a `Row`."""

TRIES = 3
"""How often rows are begun whose worker dies. Then they are put off, and each is tried alone just as often."""
AT_WORK = 4
"""Blocks that a worker judges at a time. Two of them fill its places, so that slow rows leave none idle."""
_READ_TASK = 256
"""Blocks that one read task hands on, at least: what Ray runs again when the reading process dies."""
_READ_TASKS = 4_096
"""At most about so many read tasks; Ray Data keeps each of them in memory."""


EVERY_NODE = "every node needs this version of reagent-sdk[ray]"


def why(error: Exception) -> str:
    """What went wrong, in one line: Ray puts the tracebacks of all processes that an error passed through before it."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return one_line(lines[-1] if lines else type(error).__name__, 500)


@dataclass(frozen=True)
class Plan:
    """One pass over the rows that have no verdict.

    Attributes:
        spec: the judge, made anew in each worker.
        source: name of the input, for messages.
        workers: worker processes.
        concurrency: verdicts under way at a time in each.
        n_rows: how many rows there are.
        alone: rows are judged one by one in each worker, so that one that kills its worker takes no other along.
    """

    spec: str
    source: str
    workers: int
    concurrency: int
    n_rows: int
    alone: bool = False

    @property
    def size(self) -> int:
        """Rows in a block."""
        return 1 if self.alone else -(-self.concurrency // 2)

    @property
    def at_work(self) -> int:
        """Blocks that a worker judges at a time."""
        return 1 if self.alone else min(AT_WORK, 2 * self.concurrency)

    @property
    def n_blocks(self) -> int:
        """How many blocks there are."""
        return -(-self.n_rows // self.size)

    @property
    def n_waiting(self) -> int:
        """Blocks that are with Ray at a time: under way, at the workers, and on the way there."""
        return 4 * self.workers * self.at_work

    @property
    def read_tasks(self) -> list[range]:
        """The numbers of the blocks that each read task hands on."""
        each = max(_READ_TASK, self.n_blocks // _READ_TASKS)
        return [range(start, min(start + each, self.n_blocks)) for start in range(0, self.n_blocks, each)]


@dataclass(frozen=True)
class Judged:
    """What became of a block.

    Attributes:
        block: its number.
        verdicts: lines for the file of verdicts.
        put_off: id and line of rows that were not judged, because workers died on them too often.
        failed: class and message of an error that would befall every other row as well.
    """

    block: int
    verdicts: list[str] = field(default_factory=list)
    put_off: list[tuple[str, int]] = field(default_factory=list)
    failed: tuple[str, str] | None = None


@dataclass(frozen=True)
class Report:
    """What the foreman tells the command.

    Attributes:
        judged: blocks that have come back since the last report.
        started: whether any worker has started.
        trouble: why Ray Data gave up; None while it works.
    """

    judged: list[Judged]
    started: bool
    trouble: str | None
