"""Fitting a map from scores to probabilities, and finding out on held-out questions whether it helps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from reagent_sdk.calibration.baselines import group_folds
from reagent_sdk.calibration.gate import Refusal
from reagent_sdk.calibration.maps import IsotonicMap, PlattMap, ScoreMap
from reagent_sdk.calibration.metrics import Groups, Labels, Scores, brier

ENOUGH_FOR_ISOTONIC = 200
"""Labels below which `auto` does not try an isotonic map: a step function learns a small sample by heart."""

MapChoice: TypeAlias = Literal["auto", "isotonic", "platt", "none"]
_Fit: TypeAlias = "Callable[[Labels, Scores], ScoreMap | Refusal]"

_DOES_NOT_RISE = "the score does not rise with the share of right work, so no strictly increasing map can help"
_ROUNDING = 1e-9
"""Standard deviations of the score that two means may differ by and still be the same."""


@dataclass(frozen=True)
class FittedMap:
    """A map and how it was chosen.

    Attributes:
        map: fitted on all labels; None for the score as it is.
        cross_fitted: probabilities (n,), each row's from a map that was fitted on other questions; without a map the
            scores themselves.
        why: one sentence: what was chosen and why.
    """

    map: ScoreMap | None
    cross_fitted: Scores
    why: str


def fit_platt(labels: Labels, scores: Scores) -> PlattMap | Refusal:
    """A logistic map with Platt's smoothed targets, (n1 + 1) / (n1 + 2) for right and 1 / (n0 + 2) for wrong work.

    Source: Platt 1999, section 2.2. The smoothing keeps the slope finite where scores separate right from wrong.

    Args:
        labels: bool (n,), True for right work.
        scores: float (n,) in [0, 1].
    """
    if (unfit := _unfit(labels, scores)) is not None:
        return unfit
    right, wrong = int(labels.sum()), int((~labels).sum())
    target = np.where(labels, (right + 1) / (right + 2), 1 / (wrong + 2))
    # A smoothed target is a row of each class, weighted: the same likelihood, for a library that takes classes.
    center, scale = float(scores.mean()), float(scores.std())
    if scores[labels].mean() - scores[~labels].mean() <= _ROUNDING * scale:
        return Refusal(reason=_DOES_NOT_RISE)  # the likelihood's gradient at slope zero has the sign of this difference
    rows = np.tile((scores - center) / scale, 2)[:, None]
    classes = np.repeat([True, False], len(scores))
    model = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-8)
    model.fit(rows, classes, sample_weight=np.concatenate([target, 1 - target]))
    slope = float(model.coef_[0, 0]) / scale
    return PlattMap(slope=slope, offset=float(model.intercept_[0]) - slope * center)


def fit_isotonic(labels: Labels, scores: Scores) -> IsotonicMap | Refusal:
    """The non-decreasing map with the least squared error, constant beyond the smallest and the largest score.

    Args:
        labels: bool (n,), True for right work.
        scores: float (n,) in [0, 1].
    """
    if (unfit := _unfit(labels, scores)) is not None:
        return unfit
    model = IsotonicRegression(y_min=0, y_max=1).fit(scores, labels.astype(float))
    x, y = model.X_thresholds_.tolist(), model.y_thresholds_.tolist()
    if y[0] == y[-1]:
        return Refusal(reason=_DOES_NOT_RISE)
    if x[0] > 0:
        x, y = [0.0, *x], [y[0], *y]
    if x[-1] < 1:
        x, y = [*x, 1.0], [*y, y[-1]]
    return IsotonicMap(x=tuple(x), y=tuple(y))


_FITS: dict[str, _Fit] = {"platt": fit_platt, "isotonic": fit_isotonic}


def mapped(score_map: ScoreMap | None, scores: Scores) -> Scores:
    """The scores under a map, (n,); as they are without one."""
    return scores if score_map is None else np.array([score_map(score) for score in scores.tolist()])


def cross_fitted(kind: Literal["isotonic", "platt"], labels: Labels, scores: Scores, groups: Groups) -> Scores:
    """Probabilities (n,), each row's from a map that was fitted on the other folds of questions.

    Where a fold's map is refused, its rows get the share of right work in the other folds.
    """
    guessed = np.empty(len(labels))
    for fit, held_out in group_folds(groups):
        found = _FITS[kind](labels[fit], scores[fit])
        guessed[held_out] = labels[fit].mean() if isinstance(found, Refusal) else mapped(found, scores[held_out])
    return guessed


def fit_map(choice: MapChoice, labels: Labels, scores: Scores, groups: Groups) -> FittedMap | Refusal:
    """Fits the map that is asked for; `auto` takes the one with the lowest Brier score out of fold, if any helps.

    Args:
        choice: which map. `auto` tries Platt's, from `ENOUGH_FOR_ISOTONIC` labels on also an isotonic one, and takes
            none when neither lowers the cross-fitted Brier score.
        labels: bool (n,), True for right work.
        scores: float (n,) in [0, 1].
        groups: (n,) the question of each row.

    Returns:
        The map, or why the one that was asked for cannot be had. `auto` and `none` are never refused.

    Raises:
        InvalidInput: the labels belong to fewer than two questions.
    """
    if choice == "none":
        return FittedMap(None, scores, "no map, as asked")
    if choice != "auto":
        found = _FITS[choice](labels, scores)
        if isinstance(found, Refusal):
            return found
        return FittedMap(found, cross_fitted(found.kind, labels, scores, groups), f"{choice}, as asked")
    return _best(labels, scores, groups)


def _best(labels: Labels, scores: Scores, groups: Groups) -> FittedMap:
    tried = (
        "platt and isotonic"
        if len(labels) >= ENOUGH_FOR_ISOTONIC
        else f"platt (isotonic from {ENOUGH_FOR_ISOTONIC} labels)"
    )
    error = brier(labels, scores) or 0.0
    best = FittedMap(
        None, scores, f"no map: {tried} did not lower the Brier score of {error:.3f} on held-out questions"
    )
    for kind in ("platt", "isotonic")[: 1 + (len(labels) >= ENOUGH_FOR_ISOTONIC)]:
        found = _FITS[kind](labels, scores)
        if isinstance(found, Refusal):
            best = best if best.map else FittedMap(None, scores, f"no map: {found.reason}")
            continue
        guessed = cross_fitted(found.kind, labels, scores, groups)
        now = brier(labels, guessed) or 0.0
        if now < error:
            why = f"{kind}: it lowers the Brier score on held-out questions to {now:.3f}; tried: {tried}"
            best, error = FittedMap(found, guessed, why), now
    return best


def _unfit(labels: Labels, scores: Scores) -> Refusal | None:
    if labels.all() or not labels.any():
        return Refusal(reason="the labels are all the same, and a map needs both right and wrong work")
    if scores.min() == scores.max():
        return Refusal(reason=f"every score is {scores[0]:.2f}, so there is nothing to map")
    return None
