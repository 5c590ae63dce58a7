"""Means with intervals where rows of one question, or of one group of questions, are not independent."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reagent_sdk.calibration.card import Estimate
from reagent_sdk.calibration.metrics import bootstrap, numbered

CONFIDENCE = 0.95


def mean_over(
    values: ArrayLike, clusters: Sequence[Hashable], *, bounds: tuple[float, float] = (0.0, 1.0), seed: int = 0
) -> Estimate:
    """The mean over rows, with a 95% percentile bootstrap interval over clusters.

    Whole clusters are drawn, so what belongs together stays together. Where all clusters agree, the bootstrap's
    interval would have no width, as if ten right answers proved that there are no wrong ones. There, the interval rests
    on what the number of clusters allows: with 97.5% confidence, at least 0.025 ** (1 / clusters) of all clusters are
    like these. For answers that are all right (or all wrong) that is the Clopper-Pearson interval.

    Args:
        values: [n], within `bounds`.
        clusters: [n], what each row belongs to.
        bounds: smallest and largest value that a row can have.
        seed: of the bootstrap.

    Returns:
        No value without rows; no interval with a single cluster.
    """
    sums, counts = totals(values, clusters)
    if not len(counts):
        return Estimate(value=None)
    mean = float(sums.sum() / counts.sum())
    if len(counts) == 1:
        return Estimate(value=mean)
    if np.ptp(sums / counts) < 1e-12:
        alike = ((1 - CONFIDENCE) / 2) ** (1 / len(counts))
        low, high = (alike * mean + (1 - alike) * end for end in bounds)
        return Estimate(value=mean, low=low, high=high)
    return bootstrap(_ratio, sums, counts, confidence=CONFIDENCE, seed=seed)  # the same draws as of whole clusters


def totals(values: ArrayLike, clusters: Sequence[Hashable]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sum and number of the rows of each cluster, [clusters] each, in order of appearance."""
    numbers, given = numbered(clusters), np.asarray(values, dtype=np.float64)
    return np.bincount(numbers, weights=given).astype(np.float64), np.bincount(numbers).astype(np.float64)


def standard_error(values: ArrayLike, clusters: Sequence[Hashable]) -> float:
    """Standard error of the mean over rows (linearised ratio): rows of a cluster may depend. Needs two clusters."""
    sums, counts = totals(values, clusters)
    many = len(counts)
    off = sums - counts * sums.sum() / counts.sum()
    return float(np.sqrt(many / (many - 1) * np.sum(off**2)) / counts.sum())


def _ratio(sums: NDArray[np.float64], counts: NDArray[np.float64]) -> float:
    return float(sums.sum() / counts.sum())
