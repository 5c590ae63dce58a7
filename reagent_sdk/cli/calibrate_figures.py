"""What `reagent calibrate` measures: the judge beside its baselines, each figure with its interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

import numpy as np

from reagent_sdk.calibration import baselines
from reagent_sdk.calibration.card import Estimate
from reagent_sdk.calibration.fitting import FittedMap
from reagent_sdk.calibration.labels import Labelled
from reagent_sdk.calibration.metrics import (
    Labels,
    Scores,
    Statistic,
    accuracy,
    auprc,
    auroc,
    bootstrap,
    brier,
    ece,
    kappa,
)
from reagent_sdk.rendering import render_record

METRICS: Mapping[str, Statistic] = MappingProxyType(
    {"auroc": auroc, "auprc": auprc, "brier": brier, "ece": ece, "kappa": kappa, "accuracy": accuracy}
)
_OF_RANKING = ("auroc", "auprc")
TEXT_CHARS = 48_000
"""Room for a record in the baselines, as the judge's prompt has by default."""

Figures: TypeAlias = dict[str, dict[str, Estimate]]


@dataclass(frozen=True)
class Draws:
    """How intervals are drawn: by question, `resamples` times."""

    groups: tuple[str, ...]
    resamples: int
    confidence: float
    seed: int

    def of(self, statistic: Statistic, *arrays: Scores | Labels) -> Estimate:
        """A statistic with its interval."""
        return bootstrap(
            statistic,
            *arrays,
            groups=self.groups,
            resamples=self.resamples,
            confidence=self.confidence,
            seed=self.seed,
        )


def measure(rows: Sequence[Labelled], labels: Labels, scores: Scores, fitted: FittedMap, draws: Draws) -> Figures:
    """Figures of the judge, of the judge under its map, and of the baselines that the rows allow.

    A map keeps the order of scores, so that figures of ranking are the judge's own under it. A constant ranks nothing:
    for it they are those of one number for all.

    Args:
        rows: the labelled work, n rows; words and length are known only if all of them hold the work itself.
        labels: bool (n,), True for right work.
        scores: the judge's scores (n,).
        fitted: the map, with its out-of-fold probabilities.
        draws: how intervals are drawn.
    """
    found = {"judge": _figures(labels, scores, scores, draws)}
    if fitted.map is not None:
        found["mapped"] = _figures(labels, scores, fitted.cross_fitted, draws)
    same = np.full(len(labels), labels.mean())
    constant = baselines.constant(labels, draws.groups, seed=draws.seed)
    found["constant"] = _figures(labels, same, constant, draws) | {"kappa": draws.of(kappa, labels, same)}
    best = scores if fitted.map is None else fitted.cross_fitted
    found["judge - constant"] = {"brier": draws.of(_difference(brier), labels, best, constant)}
    texts = [
        render_record(one.record.task, one.record.trajectory, max_chars=TEXT_CHARS).text for one in rows if one.record
    ]
    if len(texts) < len(rows):
        return found
    for name, baseline in (("length", baselines.length), ("words", baselines.bag_of_words)):
        guessed = baseline(texts, labels, draws.groups, seed=draws.seed)
        ranked = baselines.relative(guessed, constant)
        found[name] = _figures(labels, ranked, guessed, draws)
        found[f"judge - {name}"] = {
            "auroc": draws.of(_difference(auroc), labels, scores, ranked),
            "brier": draws.of(_difference(brier), labels, best, guessed),
        }
    return found


def _figures(labels: Labels, ranking: Scores, probabilities: Scores, draws: Draws) -> dict[str, Estimate]:
    return {
        name: draws.of(metric, labels, ranking if name in _OF_RANKING else probabilities)
        for name, metric in METRICS.items()
    }


def _difference(metric: Statistic) -> Statistic:
    """How much higher a metric is for the first scores than for the second, on the same rows."""

    def difference(labels: Labels, first: Scores, second: Scores) -> float | None:
        a, b = metric(labels, first), metric(labels, second)
        return None if a is None or b is None else a - b

    return difference
