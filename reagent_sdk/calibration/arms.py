"""What never revising, always revising and a rule would have done to the same labelled pairs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from reagent_sdk.calibration.baselines import FOLDS, group_folds
from reagent_sdk.calibration.card import Estimate, RevisionRule
from reagent_sdk.calibration.certify import Flags
from reagent_sdk.calibration.harm import fit_revision, revises
from reagent_sdk.calibration.metrics import Groups, Scores, bootstrap, numbered


@dataclass(frozen=True)
class Arm:
    """One way to treat n pairs.

    Attributes:
        pairs: n.
        revised: pairs whose revised attempt was taken.
        fixed: of those, wrong before and right after.
        broken: of those, right before and wrong after.
        accuracy: share of right work in the end.
        gain: accuracy above never revising, (fixed - broken) / n.
        p_value: of McNemar's exact test, two-sided: how likely so uneven a split of fixed and broken is by chance.
    """

    pairs: int
    revised: int
    fixed: int
    broken: int
    accuracy: Estimate
    gain: Estimate
    p_value: float

    @property
    def net(self) -> int:
        """Fixed minus broken."""
        return self.fixed - self.broken


def evaluate(taken: Flags, first: Flags, revised: Flags, groups: Groups | None = None, *, seed: int = 0) -> Arm:
    """What comes of taking the revised attempt where `taken` says so.

    Args:
        taken: whose revised attempt is taken, bool [n], n at least 1.
        first: whether each first attempt is right, bool [n].
        revised: whether each revised attempt is right, bool [n].
        groups: the task of each pair, [n]; pairs of one task are resampled together.
        seed: of the bootstrap.

    Returns:
        The counts, with 95% intervals of a paired bootstrap over tasks.
    """
    from scipy.stats import binomtest

    after = np.where(taken, revised, first)
    fixed, broken = int((after & ~first).sum()), int((first & ~after).sum())
    return Arm(
        pairs=len(first),
        revised=int(taken.sum()),
        fixed=fixed,
        broken=broken,
        accuracy=bootstrap(_mean, after.astype(np.float64), groups=groups, seed=seed),
        gain=bootstrap(_mean, after.astype(np.float64) - first, groups=groups, seed=seed),
        p_value=float(binomtest(fixed, fixed + broken).pvalue) if fixed + broken else 1.0,
    )


def decisions(rule: RevisionRule, scores: Scores) -> Flags:
    """Which pairs a rule revises, [n]; work without a score (NaN) keeps its first attempt, as in the loop."""
    return revises(rule.below, scores) & ~np.isnan(scores)


def cross_fitted(
    scores: Scores,
    first: Flags,
    revised: Flags,
    groups: Groups,
    *,
    confidence: float = 0.95,
    grid: ArrayLike | None = None,
    seed: int = 0,
) -> Flags:
    """Decisions of rules that were fitted on other tasks: what a rule does to pairs that it has not seen.

    Args:
        scores: of the first attempts, [n]; NaN where the judge gave none.
        first: whether each first attempt is right, bool [n].
        revised: whether each revised attempt is right, bool [n].
        groups: the task of each pair, [n], at least two different ones.
        confidence: as for `fit_revision`.
        grid: as for `fit_revision`.
        seed: of the folds.

    Returns:
        Which pairs are revised, bool [n].
    """
    taken: Flags = np.zeros(len(scores), dtype=np.bool_)
    tasks = numbered(groups)
    for fit, held_out in group_folds(groups, folds=FOLDS, seed=seed):
        known = fit[~np.isnan(scores[fit])]
        if len(known):
            rule = fit_revision(
                scores[known], first[known], revised[known], confidence=confidence, grid=grid, groups=tasks[known]
            )
            taken[held_out] = decisions(rule, scores[held_out])
    return taken


def _mean(values: Scores) -> float:
    return float(values.mean())
