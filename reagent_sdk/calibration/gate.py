"""A gate: the lowest accept threshold whose share of wrong work is certified to lie below a target.

Learn-then-Test (Angelopoulos et al. 2021) with an exact test. For each threshold t of a grid, the accepted work is what
scores t or more, and the claim to be proven is

    P(wrong | score >= t) <= target.

`certify` proves it for all thresholds together, from the strictest to the loosest, and the loosest proven one becomes
the gate. That holds for any judge, any number of labels, and a risk that does not fall as the score rises; what it
takes is that the labelled pieces of work are independent of each other and like the work to come.

Each threshold has its own share of the error budget. Plain fixed-sequence testing from the strictest threshold would
stop at once wherever nothing scores 1.0, and to start where enough is accepted would let the data choose the order,
which the proof does not cover.

Not mapie's BinaryClassificationController: see `docs/gate.md`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from reagent_sdk.calibration.card import Gate
from reagent_sdk.calibration.certify import Certified, Flags, Floats, certify, draws_needed, upper_bound
from reagent_sdk.calibration.grid import cell_counts, checked_share, checked_work, falling_grid, one_of_each
from reagent_sdk.calibration.metrics import Groups
from reagent_sdk.frozen import Frozen


class Refusal(Frozen):
    """No threshold could be certified."""

    reason: str
    labels_needed: int | None = None
    """Labels with which a threshold would be certified in 80% of the cases if the shares seen are the true ones.

    None where more labels of this judge would not help.
    """


def fit_gate(
    labels: ArrayLike,
    scores: ArrayLike,
    *,
    target: float,
    confidence: float = 0.95,
    grid: ArrayLike | None = None,
    groups: Groups | None = None,
) -> Gate | Refusal:
    """Chooses an accept threshold with a guarantee, or says how many labels one would take.

    Args:
        labels: whether each piece of work is right, [n].
        scores: the judge's scores of it, in [0, 1], [n].
        target: largest share of wrong work among the accepted, in (0, 1).
        confidence: least chance that the promise holds, over the draw of the labelled work.
        grid: thresholds to choose from, in [0, 1], chosen without a look at these labels and scores; None for 0, 0.05,
            ..., 1. A short grid of the scores that the judge really gives needs fewer labels.
        groups: the question of each piece of work, [n]. One piece is taken of each question then, at random, because
            attempts at one question are not independent; None when every piece is a question of its own.

    Returns:
        The gate with the lowest certified threshold, or a refusal.

    Raises:
        InvalidInput: lengths differ, there is nothing, or something is out of range.
    """
    right, values = checked_work(labels, scores)
    rows = one_of_each(groups, len(values))
    right, values = right[rows], values[rows]
    target, confidence = checked_share(target, "the target"), checked_share(confidence, "the confidence")
    thresholds = falling_grid(grid)
    cells = cell_counts(values, ~right, thresholds)
    covers = accepted_cells(len(thresholds))
    wrong, accepted = covers @ cells[:, 0], covers @ cells.sum(axis=1)
    budget = even_budget(len(thresholds), confidence)
    outcome = certify(wrong, accepted, limit=target, budget=budget)
    if not outcome.passed.any():
        hopeful = bool((wrong < target * accepted).any())
        needed = (
            draws_needed(cells / len(values), covers, len(values), limit=target, budget=budget) if hopeful else None
        )
        told = f"no threshold is certain at {confidence:.0%} to keep the share of wrong work at or below {target:.0%}"
        return Refusal(reason=f"{told}: {_why(right, needed, hopeful)}", labels_needed=needed)
    best = loosest(outcome)
    return Gate(
        threshold=float(thresholds[best]),
        target=target,
        confidence=confidence,
        accepted=int(accepted[best]),
        wrong=int(wrong[best]),
        bound=min(target, upper_bound(int(wrong[best]), int(accepted[best]), float(outcome.levels[best]))),
        method=f"learn-then-test, exact binomial test, fallback over {len(thresholds)} thresholds",
    )


def even_budget(rules: int, confidence: float) -> Floats:
    """The same share of the allowed error for each rule, [rules]."""
    return np.full(rules, (1 - confidence) / rules)


def accepted_cells(rules: int) -> Flags:
    """Which ranges of `cell_counts` each falling threshold accepts, [rules, rules + 1]."""
    return np.tri(rules, rules + 1, dtype=np.bool_)


def loosest(outcome: Certified) -> int:
    """Index of the last rule that passed; there must be one."""
    return int(np.flatnonzero(outcome.passed)[-1])


def _why(right: Flags, needed: int | None, hopeful: bool) -> str:
    if not right.any():
        return f"all {len(right)} labels say wrong"
    if not hopeful:
        return "at every threshold at least that share was wrong, so more labels of this judge would not help"
    if needed is None:
        return "what was accepted was wrong so nearly that often that millions of labels could not tell"
    return f"{len(right)} labels are too few; about {needed} would do if the shares seen in them are the true ones"
