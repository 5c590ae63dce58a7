"""What is measured of scores against labels, for judges and baselines alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reagent_benchmarks.judging.items import JudgedItem
from reagent_sdk.calibration import metrics
from reagent_sdk.calibration.card import Estimate

RESAMPLES = 1000
"""Draws of a bootstrap."""

NAMES = {
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "pairwise": "pairwise",
    "ties": "ties",
    "ece": "ECE",
    "brier": "Brier",
    "kappa": "kappa",
    "accuracy": "acc. at 0.5",
    "step_accuracy": "step acc.",
    "first_error": "first error",
}


class Comparison(NamedTuple):
    """Two items of one question of which one is better: positions in the list of items."""

    better: int
    worse: int


def comparisons(items: Sequence[JudgedItem]) -> list[Comparison]:
    """What can be compared: the sides of each pair, else each right item with each wrong one of its question."""
    places: dict[str, list[int]] = {}
    for index, item in enumerate(items):
        places.setdefault(item.pair or item.group, []).append(index)
    return [
        Comparison(better, worse)
        for same in places.values()
        for better in same
        for worse in same
        if items[better].label and not items[worse].label
    ]


def measure(items: Sequence[JudgedItem], scores: NDArray[np.float64], *, seed: int = 0) -> dict[str, Estimate]:
    """The figures, each with a 95% bootstrap interval over questions.

    Figures that read a score as the probability of being right are left out for pairs: there a label says which side is
    better, and both may be right, or neither.

    Args:
        items: [n].
        scores: [n], in [0, 1]; NaN where there is none. Items without a score are left out, and comparisons with them.
        seed: of the bootstrap.
    """
    scored = ~np.isnan(scores)
    kept = [item for item, has in zip(items, scored, strict=True) if has]
    labels, numbers = metrics.checked([item.label for item in kept], scores[scored])
    groups = [item.group for item in kept]
    found = _pairwise(items, scores, seed)
    named: dict[str, metrics.Statistic] = {"auroc": metrics.auroc}
    if not any(item.pair for item in items):
        named |= {one: getattr(metrics, one) for one in ("auprc", "ece", "brier", "kappa", "accuracy")}
    for name, statistic in named.items():
        found[name] = estimate(statistic, labels, numbers, groups=groups, seed=seed)
    return found


def _pairwise(items: Sequence[JudgedItem], scores: NDArray[np.float64], seed: int) -> dict[str, Estimate]:
    """Share of comparisons that the scores get right, ties counted half, and the share of ties."""
    compared = [(one, wins(scores, one)) for one in comparisons(items)]
    kept = [(one, won) for one, won in compared if won is not None]
    groups = [items[one.better].group for one, _ in kept]
    won = np.array([won for _, won in kept], dtype=np.float64)
    return {
        "pairwise": estimate(mean, won, groups=groups, seed=seed),
        "ties": estimate(mean, (won == 0.5).astype(np.float64), groups=groups, seed=seed),
    }


def wins(scores: NDArray[np.float64], one: Comparison) -> float | None:
    """1 when the better item has the higher score, 0.5 for a tie, 0 when it has the lower; None without both scores."""
    difference = float(scores[one.better] - scores[one.worse])
    return None if np.isnan(difference) else 0.5 * (1 + float(np.sign(difference)))


def always_good(items: Sequence[JudgedItem], *, seed: int = 0) -> dict[str, Estimate]:
    """The constant judge of steps, "all steps are good": how often it is right of a step, and of the first error.

    Step accuracy is the share of steps labelled good. First-error accuracy is the share of trajectories without a wrong
    step: only there is "no error" right. Empty without labels of steps.
    """
    steps = [(label == 1, item.group) for item in items for label in item.steps.values()]
    if not steps:
        return {}
    labelled = [item for item in items if item.steps]
    clean = np.array([-1 not in item.steps.values() for item in labelled], dtype=np.float64)
    good = np.array([is_good for is_good, _ in steps], dtype=np.float64)
    return {
        "step_accuracy": estimate(mean, good, groups=[group for _, group in steps], seed=seed),
        "first_error": estimate(mean, clean, groups=[item.group for item in labelled], seed=seed),
    }


def estimate(statistic: metrics.Statistic, *arrays: NDArray[Any], groups: list[str], seed: int) -> Estimate:
    """A figure with its interval. One question alone gives none: the bootstrap would give one of no width."""
    found = metrics.bootstrap(statistic, *arrays, groups=groups, resamples=RESAMPLES, seed=seed)
    return found if len(set(groups)) > 1 else Estimate(value=found.value)


def reach(figure: Estimate) -> tuple[float, float]:
    """How far the interval reaches below and above a figure, as error bars take it; 0 where there is no interval."""
    if figure.value is None or figure.low is None or figure.high is None:
        return 0.0, 0.0
    return max(0.0, figure.value - figure.low), max(0.0, figure.high - figure.value)


def mean(values: NDArray[Any]) -> float | None:
    """The mean; None of nothing."""
    return float(values.mean()) if len(values) else None
