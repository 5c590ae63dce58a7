"""The thresholds that rules are chosen from, and work counted between them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reagent_sdk.calibration.certify import Counts, Flags, Floats
from reagent_sdk.calibration.metrics import Groups, checked, numbered
from reagent_sdk.errors import InvalidInput

GRID: tuple[float, ...] = tuple(step / 20 for step in range(21))
"""Thresholds 0, 0.05, ..., 1: fixed before any data are seen, and as coarse as the scores that judges give."""


def falling_grid(grid: ArrayLike | None) -> Floats:
    """Thresholds, falling, [J]; those of `GRID` for None.

    Raises:
        InvalidInput: there are none, one is no number in [0, 1], or two are equal.
    """
    values = np.sort(np.asarray(GRID if grid is None else grid, dtype=np.float64))[::-1]
    if values.ndim != 1 or not values.size or not ((values >= 0) & (values <= 1)).all() or not np.diff(values).all():
        raise InvalidInput("a grid is a list of different thresholds in [0, 1]")
    return values


def cell_counts(scores: Floats, bad: Flags, thresholds: Floats) -> Counts:
    """Counts of bad and good work in the score ranges that falling `thresholds` [J] cut: [J + 1, 2], highest first."""
    cell = len(thresholds) - np.searchsorted(thresholds[::-1], scores, side="right")
    columns = [np.bincount(cell[mask], minlength=len(thresholds) + 1) for mask in (bad, ~bad)]
    return np.stack(columns, axis=1)


def checked_work(labels: ArrayLike, scores: ArrayLike) -> tuple[Flags, Floats]:
    """Labels and scores of at least one piece of work, [n].

    Raises:
        InvalidInput: there are none, their lengths differ, or one is no label or no score.
    """
    if not np.size(scores):
        raise InvalidInput("there is no scored work to learn from")
    return checked(labels, scores)


def one_of_each(groups: Groups | None, rows: int) -> NDArray[np.intp]:
    """One row of each group, drawn at random with a fixed seed; all rows without groups.

    Several attempts at one question are not independent, and the exact tests count on independent rows.

    Raises:
        InvalidInput: there is not one group a row.
    """
    if groups is None:
        return np.arange(rows)
    if len(groups) != rows:
        raise InvalidInput(f"there are {rows} rows and {len(groups)} groups; one group a row is needed")
    shuffled = np.random.default_rng(0).permutation(rows)
    _, first = np.unique(numbered(groups)[shuffled], return_index=True)
    return np.sort(shuffled[first])


def checked_share(value: float, name: str) -> float:
    """A share strictly between 0 and 1.

    Raises:
        InvalidInput: it is not.
    """
    if not 0 < value < 1:
        raise InvalidInput(f"{name} lies between 0 and 1, not {value!r}: write 0.1 for 10%")
    return float(value)
