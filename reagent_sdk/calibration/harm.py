"""When to revise: only where revising is certified to mend more work than it breaks.

The labelled pairs say of the same task whether the first attempt was right and whether the revised one was. Pairs that
changed are all that counts: `fixed` went from wrong to right, `broken` from right to wrong. Candidates are "revise what
scores below t" for each t of a grid, and "always revise". The claim to be proven for each is

    P(broken | changed, revised by the rule) < 1/2,

which is what makes the expected gain, fixed minus broken, positive. The test is the exact sign test on the changed
pairs (McNemar's exact test, one-sided), and `certify` proves it for all candidates together. Among the proven ones the
choice is free: it is the largest gain seen, and among equal ones the fewest revisions.

"Always" is tested first, with half of the error budget: it is the paper's own rule, and where the agent is weak all
pairs speak for it. The other candidates follow from lax to strict and share the other half.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from reagent_sdk.calibration.card import RevisionRule
from reagent_sdk.calibration.certify import Counts, Flags, Floats, certify, draws_needed
from reagent_sdk.calibration.grid import cell_counts, checked_share, checked_work, falling_grid, one_of_each
from reagent_sdk.calibration.metrics import Groups

EVEN = 0.5


def fit_revision(
    scores: ArrayLike,
    first: ArrayLike,
    revised: ArrayLike,
    *,
    confidence: float = 0.95,
    grid: ArrayLike | None = None,
    groups: Groups | None = None,
) -> RevisionRule:
    """Chooses below which score of the first attempt to revise.

    Args:
        scores: the judge's scores of the first attempts, in [0, 1], [n].
        first: whether each first attempt is right, [n].
        revised: whether the revised attempt at the same task is right, [n].
        confidence: least chance that the rule fixes more than it breaks, over the draw of the labelled pairs.
        grid: thresholds to choose from, in [0, 1], chosen without a look at these pairs; None for 0, 0.05, ..., 1.
        groups: the task of each pair, [n]. One pair is taken of each task then, at random, because pairs of one task
            are not independent; None when every pair is a task of its own.

    Returns:
        The rule. Where nothing is certified, it is the one that does no harm: never revise (`below` is 0), with the
        reason and the number of pairs it would take.

    Raises:
        InvalidInput: lengths differ, there is nothing, or something is out of range.
    """
    (before, values), (after, _) = checked_work(first, scores), checked_work(revised, scores)
    rows = one_of_each(groups, len(values))
    before, after, values = before[rows], after[rows], values[rows]
    confidence = checked_share(confidence, "the confidence")
    thresholds = falling_grid(grid)
    thresholds = thresholds[thresholds > 0]
    cells = _changed(values, before, after, thresholds)
    covers = revised_cells(len(thresholds))
    broken, fixed = covers @ cells[:, 0], covers @ cells[:, 1]
    budget = revision_budget(len(thresholds), confidence)
    passed = certify(broken, broken + fixed, limit=EVEN, budget=budget).passed
    rule = RevisionRule(
        below=0.0,
        confidence=confidence,
        pairs=len(values),
        revised=0,
        fixed=0,
        broken=0,
        method=f"exact sign test, fallback over {len(budget)} candidates",
    )
    if not passed.any():
        hopeful = bool((fixed > broken).any())
        needed = draws_needed(cells / len(values), covers, len(values), limit=EVEN, budget=budget) if hopeful else None
        why = _why(len(values), int(fixed[0]), int(broken[0]), needed, confidence)
        return rule.model_copy(update={"reason": why, "pairs_needed": needed})
    candidates = [None, *map(float, thresholds)]
    revised_by = [int(revises(below, values).sum()) for below in candidates]
    gain = np.where(passed, fixed - broken, 0)  # a certified gain is at least 1
    best = int(np.lexsort((np.array(revised_by), -gain))[0])
    chosen = {"below": candidates[best], "revised": revised_by[best]}
    return rule.model_copy(update={**chosen, "fixed": int(fixed[best]), "broken": int(broken[best])})


def revises(below: float | None, scores: Floats) -> Flags:
    """Which of the work a rule revises, [n]: what scores below `below`, or all of it for None."""
    return np.ones(len(scores), dtype=np.bool_) if below is None else scores < below


def _changed(scores: Floats, before: Flags, after: Flags, thresholds: Floats) -> Counts:
    """Counts of broken and fixed pairs in the score ranges, highest first, [J + 1, 2]."""
    changed = before != after
    return cell_counts(scores[changed], before[changed], thresholds)


def revised_cells(thresholds: int) -> Flags:
    """Which ranges each candidate revises, [J + 1, J + 1]: "always" first, then from the highest threshold down."""
    return ~np.tri(thresholds + 1, thresholds + 1, -1, dtype=np.bool_)


def revision_budget(thresholds: int, confidence: float) -> Floats:
    """The allowed error: half of it for "always", the rest for the thresholds in equal shares, [thresholds + 1]."""
    if not thresholds:
        return np.array([1 - confidence])
    half = (1 - confidence) / 2
    return np.array([half, *[half / thresholds] * thresholds])


def _why(pairs: int, fixed: int, broken: int, needed: int | None, confidence: float) -> str:
    told = f"always revising fixed {fixed} and broke {broken} of {pairs}; at no score is it certain at {confidence:.0%}"
    if needed is None:
        return f"{told} that revising pays, and more pairs of this judge and agent would hardly change that"
    return f"{told} that revising pays; about {needed} pairs would do if the shares seen in them are the true ones"
