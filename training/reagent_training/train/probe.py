"""A linear probe for the grade, fitted in closed form: numbers in, numbers out.

A small judge's own grade uses little of what its last layer knows when it has seen a few hundred rows. A logistic
regression on those activations uses all of it, and needs seconds. The margin z = w . a then tilts the grade's digits:

    p(d) ~ p_judge(d) exp(k z (d - 4.5) / 4.5)

which is monotone in z, so that the probe sharpens the judge's own grade and never overrules the format. No intercept: a
rank-one update of a weight has none, and the judge's own digits carry the base rate.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, log_softmax, logit

from reagent_sdk.calibration.baselines import group_folds

Array = NDArray[np.float64]
TILT = (np.arange(10) - 4.5) / 4.5
PENALTIES = (1e-3, 1e-2, 1e-1, 1.0)
_OTHER_WEIGHT = 0.1
"""How much the margin at other places of the text counts: there it must be near zero, or it would move their digits."""


class Probe(NamedTuple):
    """A fitted probe.

    Attributes:
        weights: (features,), on activations as the model computes them.
        strength: k, of the tilt.
        penalty: of the regression, chosen by cross-fitting.
        held_out: (n,) expected scores of the rows, each from a probe that did not see its question.
    """

    weights: Array
    strength: float
    penalty: float
    held_out: Array


def tilted(own: Array, margins: Array, strength: float) -> Array:
    """Expected scores (n,) of digits with log-probabilities `own` (n, 10), tilted by `margins` (n,)."""
    tilted_log = log_softmax(own + strength * margins[:, None] * TILT, axis=1)
    scores: Array = np.exp(tilted_log) @ np.arange(10) / 9
    return scores


def fit_probe(activations: Array, others: Array, own: Array, targets: Array, groups: Sequence[str]) -> Probe:
    """Fits a probe, its penalty and its strength.

    Args:
        activations: (n, features) where the grade is about to be written.
        others: (m, features) at other places of replies.
        own: (n, 10) the judge's log-probabilities of the digits.
        targets: (n,) scores in [0, 1].
        groups: (n,) questions; penalty and strength are chosen on questions that the weights did not see.
    """
    size = float(np.sqrt(np.mean(activations**2)))
    scaled, rest = activations / size, others / size
    base = logit(np.clip(_mean_score(own), 0.02, 0.98))
    best: tuple[float, float, float, Array] | None = None
    for penalty in PENALTIES:
        margins = np.empty(len(targets))
        for fit, held_out in group_folds(groups):
            weights = _regression(scaled[fit], rest, base[fit], targets[fit], penalty)
            margins[held_out] = scaled[held_out] @ weights
        strength, error = _strength(own, margins, targets)
        if best is None or error < best[0]:
            best = (error, penalty, strength, tilted(own, margins, strength))
    assert best is not None  # noqa: S101 - there are penalties
    _, penalty, strength, held = best
    weights = _regression(scaled, rest, base, targets, penalty)
    return Probe(weights / size, strength, penalty, held)


def _mean_score(own: Array) -> Array:
    scores: Array = np.exp(log_softmax(own, axis=1)) @ np.arange(10) / 9
    return scores


def _regression(rows: Array, others: Array, base: Array, targets: Array, penalty: float) -> Array:
    """Weights of a logistic regression on top of `base`, with soft targets, a ridge, and margins near 0 elsewhere."""
    spread = others.T @ others * (_OTHER_WEIGHT / max(1, len(others)))

    def loss(weights: Array) -> tuple[float, Array]:
        said = expit(base + rows @ weights)
        clipped = np.clip(said, 1e-9, 1 - 1e-9)
        cross = -np.mean(targets * np.log(clipped) + (1 - targets) * np.log(1 - clipped))
        elsewhere = spread @ weights
        value = cross + penalty / 2 * weights @ weights + weights @ elsewhere / 2
        return float(value), rows.T @ (said - targets) / len(rows) + penalty * weights + elsewhere

    found: Array = minimize(loss, np.zeros(rows.shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": 300}).x
    return found


def _strength(own: Array, margins: Array, targets: Array) -> tuple[float, float]:
    """The strength with the least squared error of the expected score, and that error."""

    def error(strength: float) -> float:
        return float(np.mean((tilted(own, margins, strength) - targets) ** 2))

    found = minimize_scalar(error, bounds=(0.0, 20.0), method="bounded")
    return float(found.x), float(found.fun)
