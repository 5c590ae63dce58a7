"""The order in which a run on GRPO meets its rows, decided before it starts.

TRL shuffles anew in each epoch and forgets where it was: a run that goes on in its second epoch would see other rows.
Here the whole run is one pass over a plan that depends on the seed alone, so that going on is exact. The plan also
keeps the rows of a question together, where rewards compare them.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator, Sequence

_WAITING = 32
"""Units that may wait for a batch with room for them, before one is split."""


def planned(units: Sequence[Sequence[int]], *, size: int, count: int, seed: int) -> list[list[int]]:
    """Batches of row numbers.

    Args:
        units: rows that belong together; those that do not, alone.
        size: rows in a batch.
        count: batches.
        seed: of the order.

    Returns:
        `count` batches of `size` rows. Rows come again when all had their turn. A unit is split only where it is larger
        than a batch, or fits into none for long.
    """
    stream = _passes([list(unit[i : i + size]) for unit in units for i in range(0, len(unit), size)], seed)
    waiting: deque[list[int]] = deque()
    return [_filled(size, stream, waiting) for _ in range(count)]


def _passes(units: Sequence[list[int]], seed: int) -> Iterator[list[int]]:
    """All units in a random order, then all in another one, without end."""
    turn = 0
    while True:
        order = list(units)
        random.Random(f"{seed}:{turn}").shuffle(order)
        yield from order
        turn += 1


def _filled(size: int, stream: Iterator[list[int]], waiting: deque[list[int]]) -> list[int]:
    batch: list[int] = []
    for unit in list(waiting):
        if len(unit) <= size - len(batch):
            waiting.remove(unit)
            batch += unit
    while (room := size - len(batch)) > 0:
        unit = next(stream)
        if len(unit) <= room:
            batch += unit
        elif len(waiting) < _WAITING:
            waiting.append(unit)
        else:
            first = waiting.popleft()
            batch += first[:room]
            waiting.appendleft(first[room:])
            waiting.append(unit)
    return batch
