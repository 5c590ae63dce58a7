"""What the fitting functions take in, checked: one clear error for each way in which labelled work can be unfit."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reagent_sdk.errors import InvalidInput

GRID: tuple[float, ...] = tuple(step / 20 for step in range(21))
"""Thresholds 0, 0.05, ..., 1: fixed before any data are seen, and as coarse as the scores that judges give."""


def checked_scores(scores: ArrayLike) -> NDArray[np.float64]:
    """Scores, [n].

    Raises:
        InvalidInput: there are none, or one is no number in [0, 1].
    """
    values = _array(scores, "scores")
    if not np.isfinite(values).all() or (values < 0).any() or (values > 1).any():
        bad = int(np.flatnonzero(~((values >= 0) & (values <= 1)))[0])
        raise InvalidInput(f"score {bad} is {values[bad]}: scores are numbers in [0, 1]; leave unscored work out")
    return values


def checked_labels(labels: ArrayLike, n: int, name: str = "labels") -> NDArray[np.bool_]:
    """Labels, [n].

    Raises:
        InvalidInput: there are not `n`, or one is neither right (True, 1) nor wrong (False, 0).
    """
    values = _array(labels, name)
    if len(values) != n:
        raise InvalidInput(f"there are {n} scores and {len(values)} {name}: each score needs its label")
    if not np.isin(values, (0.0, 1.0)).all():
        bad = int(np.flatnonzero(~np.isin(values, (0.0, 1.0)))[0])
        raise InvalidInput(f"{name}[{bad}] is {values[bad]}: a label is True or 1 for right, False or 0 for wrong")
    return values.astype(np.bool_)


def checked_grid(grid: ArrayLike | None) -> NDArray[np.float64]:
    """Thresholds, rising, [J].

    Raises:
        InvalidInput: there are none, one is no number in [0, 1], or two are equal.
    """
    values = np.sort(_array(GRID if grid is None else grid, "thresholds of the grid"))
    if not np.isfinite(values).all() or values[0] < 0 or values[-1] > 1 or (np.diff(values) == 0).any():
        raise InvalidInput("a grid holds different thresholds in [0, 1]")
    return values


def checked_share(value: float, name: str) -> float:
    """A share strictly between 0 and 1.

    Raises:
        InvalidInput: it is not.
    """
    if not 0 < value < 1:
        raise InvalidInput(f"{name} lies between 0 and 1, not {value!r}: write 0.1 for 10%")
    return float(value)


def _array(values: ArrayLike, name: str) -> NDArray[np.float64]:
    try:
        array: NDArray[Any] = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise InvalidInput(f"{name} must be numbers") from None
    if array.ndim != 1 or not array.size:
        raise InvalidInput(f"there are no {name}" if not array.size else f"{name} must be one plain list")
    return array
