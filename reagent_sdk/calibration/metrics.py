"""How well scores tell right from wrong work, each figure with a bootstrap interval.

Arrays are numpy arrays of one length n: `labels` bool (n,), True for right work; `scores` float (n,) in [0, 1], read as
the probability that the work is right. A figure is None where the data cannot tell it: with no rows, and for AUROC,
AUPRC and kappa also with one class of labels.

Written on numpy and scipy, because a bootstrap asks for each figure thousands of times and scikit-learn's functions
spend about a millisecond a call on checking their input; the tests hold them equal to scikit-learn's.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from reagent_sdk.calibration.card import Estimate
from reagent_sdk.errors import InvalidInput

Labels: TypeAlias = NDArray[np.bool_]
Scores: TypeAlias = NDArray[np.float64]
Groups: TypeAlias = Sequence[Hashable] | NDArray[Any]
Statistic: TypeAlias = Callable[..., float | None]

BINS = 10
THRESHOLD = 0.5


def checked(labels: ArrayLike, scores: ArrayLike) -> tuple[Labels, Scores]:
    """Labels and scores as arrays that the functions of this module take.

    Raises:
        InvalidInput: not two lists of one length, a label that is not 0 or 1, or a score outside [0, 1].
    """
    given, numbers = np.asarray(labels), np.asarray(scores, dtype=np.float64)
    if given.ndim != 1 or given.shape != numbers.shape:
        raise InvalidInput(
            f"labels and scores are two lists of one length, not of shapes {given.shape} and {numbers.shape}"
        )
    if not np.isin(given, (0, 1)).all():
        raise InvalidInput("a label is true or false, or 1 or 0")
    if not ((numbers >= 0) & (numbers <= 1)).all():  # NaN fails both
        raise InvalidInput("a score is a number in [0, 1]; records without a score are left out before")
    return given.astype(np.bool_), numbers


def auroc(labels: Labels, scores: Scores) -> float | None:
    """Chance that right work is scored above wrong work, ties counted half: the area under the ROC curve, in [0, 1]."""
    right = int(labels.sum())
    wrong = len(labels) - right
    if not right or not wrong:
        return None
    rank_sum = float(rankdata(scores)[labels].sum())
    return (rank_sum - right * (right + 1) / 2) / (right * wrong)  # Mann-Whitney U / (n1 * n0)


def auprc(labels: Labels, scores: Scores) -> float | None:
    """Average precision: sum over the distinct scores of (recall gained there) * (precision there), in (0, 1].

    A judge that cannot tell gets the share of right work, not 0.5.
    """
    right = int(labels.sum())
    if not right or right == len(labels):
        return None
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(labels[order])
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)  # the last row of each distinct score
    gained = np.diff(hits[last], prepend=0)
    return float(np.sum(gained * hits[last] / (last + 1)) / right)


def brier(labels: Labels, scores: Scores) -> float | None:
    """Mean squared error of the scores as probabilities, in [0, 1]; 0 is perfect (Brier 1950)."""
    return float(np.mean((scores - labels) ** 2)) if len(labels) else None


def bin_of(scores: Scores, bins: int = BINS) -> NDArray[np.intp]:
    """Index of each score's bin: [0, 1/bins), [1/bins, 2/bins), ..., the last one closed at 1."""
    return np.minimum((scores * bins).astype(np.intp), bins - 1)


def ece(labels: Labels, scores: Scores, bins: int = BINS) -> float | None:
    """Expected calibration error: sum over bins of (share of rows) * |mean score - share of right work|, in [0, 1].

    The bins have equal widths, see :func:`bin_of`; empty ones count nothing (Naeini et al. 2015, Guo et al. 2017). It
    is biased upward in small samples: that of a perfectly calibrated judge is not 0 but up to 0.4 * sqrt(bins / n), the
    expected noise of the shares. A bootstrap adds the bias once more, so its interval sits too high as well.
    """
    if not len(labels):
        return None
    where = bin_of(scores, bins)
    return float(np.abs(np.bincount(where, weights=scores - labels, minlength=bins)).sum() / len(labels))


def accuracy(labels: Labels, scores: Scores, threshold: float = THRESHOLD) -> float | None:
    """Share of rows where `score >= threshold` agrees with the label."""
    return float(np.mean((scores >= threshold) == labels)) if len(labels) else None


def kappa(labels: Labels, scores: Scores, threshold: float = THRESHOLD) -> float | None:
    """Cohen's kappa of `score >= threshold` with the label: agreement beyond chance, in [-1, 1]; 0 for a constant."""
    right = float(np.mean(labels)) if len(labels) else 0.0
    if right in (0.0, 1.0):
        return None
    said_right = float(np.mean(scores >= threshold))
    agreed = float(np.mean((scores >= threshold) == labels))
    by_chance = right * said_right + (1 - right) * (1 - said_right)
    return (agreed - by_chance) / (1 - by_chance)


def bootstrap(
    statistic: Statistic,
    *arrays: NDArray[Any],
    groups: Groups | None = None,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """A statistic with its percentile bootstrap interval (Efron 1979).

    Rows are drawn with replacement, the same rows from all arrays; with `groups`, whole groups are drawn, because
    several attempts at one question are not independent.

    Args:
        statistic: takes the (resampled) arrays; None where they do not define it.
        arrays: one or more of n rows, passed on in this order.
        groups: (n,) which group each row belongs to.
        resamples: how many draws.
        confidence: of the interval, in (0, 1).
        seed: of the draws.

    Returns:
        The value on all rows, and the interval. Draws that leave the statistic undefined (one class of labels) are left
        out; when they are the majority, or there is no draw, there is no interval.

    Raises:
        InvalidInput: no array, or arrays or groups of different lengths.
    """
    rows = len(arrays[0]) if arrays else 0
    if not arrays or any(len(one) != rows for one in arrays):
        raise InvalidInput("the bootstrap needs at least one array, all of one length")
    value = statistic(*arrays)
    if value is None:
        return Estimate(value=None)
    members = _members(groups, rows)  # one array of rows a group
    random = np.random.default_rng(seed)
    found = []
    for _ in range(resamples):
        drawn = random.integers(len(members), size=len(members))
        rows_drawn = drawn if groups is None else np.concatenate([members[one] for one in drawn])
        again = statistic(*(one[rows_drawn] for one in arrays))
        if again is not None:
            found.append(again)
    if not found or 2 * len(found) < resamples:
        return Estimate(value=value)
    tail = (1 - confidence) / 2
    low, high = np.quantile(found, (tail, 1 - tail))
    return Estimate(value=value, low=float(low), high=float(high))


def numbered(groups: Groups) -> NDArray[np.intp]:
    """A number for each row's group, (n,), in the order in which the groups first appear."""
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(one, len(numbers)) for one in groups], dtype=np.intp)


def _members(groups: Groups | None, rows: int) -> list[NDArray[np.intp]]:
    """Rows of each group; every row is its own group without groups."""
    numbers = np.arange(rows) if groups is None else numbered(groups)
    if len(numbers) != rows:
        raise InvalidInput(f"there are {rows} rows and {len(numbers)} groups; one group a row is needed")
    order = np.argsort(numbers, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1)
