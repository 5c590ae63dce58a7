"""The held-out attempts of a reproduction as a small file: what its table was made from."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Any

from reagent_benchmarks.outcomes import ArmResult


def heldout_of(results: Iterable[ArmResult]) -> list[dict[str, Any]]:
    """A row for each arm, seed and task, with all attempts at the task.

    Returns:
        Rows of `arm`, `seed`, `task`, `right` (0 or 1 for each attempt) and, where a judge was heard, `score` (in
        [0, 1], None where it failed).
    """
    rows = sorted(results, key=lambda row: (row.arm, row.seed, row.sample, row.epoch))
    found = []
    for (arm, seed, sample), group in groupby(rows, key=lambda row: (row.arm, row.seed, row.sample)):
        own = list(group)
        told: dict[str, Any] = {"arm": arm, "seed": seed, "task": sample}
        told["right"] = [int(row.right is True) for row in own]
        if any(row.score is not None for row in own):
            told["score"] = [None if row.score is None else round(row.score, 3) for row in own]
        found.append(told)
    return found
