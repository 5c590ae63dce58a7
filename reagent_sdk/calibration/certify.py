"""Which of several rules keep their share of bad outcomes under a limit, with one confidence for all of them together.

Rule j covers some of the work and n_j outcomes of it count, k_j of them bad. The counted outcomes are independent
draws with an unknown share of bad ones, so k_j given n_j is binomial, and P(Bin(n_j, limit) <= k_j) is an exact p-value
of "the share is above the limit". A p-value of at most the rule's level is the same as a Clopper-Pearson upper bound,
at that level, of at most the limit.

Trying many rules on the same data would find a lucky one, so the error budget is shared out by the fallback procedure
(Wiens 2003; one of the graphical procedures of Bretz et al. 2009): rules are tested in an order that was fixed before
the data were seen, each has its share of the budget, and a rule that passes hands its level on to the next. The chance
that any bad rule passes is then at most the budget, however the tests depend on each other.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Flags = NDArray[np.bool_]

POWER = 0.8
"""Chance of success that `draws_needed` plans for."""

RESAMPLES = 1000
MOST_DRAWS = 10_000_000


class Certified(NamedTuple):
    """Per rule, in the order of the tests: the level it was tested at, and whether it passed."""

    levels: Floats
    passed: Flags


def certify(bad: Counts, counted: Counts, *, limit: float, budget: Floats) -> Certified:
    """Tests the rules in the given order.

    Args:
        bad: number of bad outcomes, [..., J] for J rules; leading axes are separate experiments.
        counted: number of outcomes that count, [..., J].
        limit: share of bad outcomes that a rule must stay under, in (0, 1).
        budget: chance of a mistake that each rule starts with, [J]; their sum is 1 - confidence.

    Returns:
        Levels and outcomes, [..., J].
    """
    from scipy.stats import binom

    return fallback(np.asarray(binom.cdf(bad, counted, limit), dtype=np.float64), budget)


def fallback(p_values: Floats, budget: Floats) -> Certified:
    """The fallback procedure.

    Args:
        p_values: of the rules in the order of the tests, [..., J].
        budget: as for `certify`.

    Returns:
        Levels and outcomes, [..., J].
    """
    levels = np.empty_like(p_values)
    handed_on: Floats = np.zeros(p_values.shape[:-1])
    for rule in range(p_values.shape[-1]):
        levels[..., rule] = budget[rule] + handed_on
        handed_on = np.where(p_values[..., rule] <= levels[..., rule], levels[..., rule], 0.0)
    return Certified(levels, p_values <= levels)


def upper_bound(bad: int, counted: int, level: float) -> float:
    """The Clopper-Pearson upper bound of a share, wrong with a chance of at most `level`."""
    from scipy.stats import beta

    return 1.0 if bad >= counted else float(beta.ppf(1 - level, bad + 1, counted - bad))


def draws_needed(shares: Floats, covers: Flags, drawn: int, *, limit: float, budget: Floats) -> int | None:
    """How many labelled draws it takes until some rule passes with a chance of `POWER`, if the shares are true.

    The chance is that of the whole procedure, over `RESAMPLES` multinomial draws with a fixed seed (standard error 1.3
    points), and the number is found by doubling and halving. Shares that were seen flatter the best of many rules, so
    the true number tends to be larger.

    Args:
        shares: of the draws, those with a bad and with a good outcome in each of B score ranges, [B, 2]; the rest of
            the draws counts as neither.
        covers: which rule covers which range, [J, B], in the order of the tests.
        drawn: a number of draws that is too small, at least 1.
        limit: as for `certify`.
        budget: as for `certify`.

    Returns:
        A number above `drawn`, or None where it would be more than `MOST_DRAWS`.
    """
    from scipy.stats import binom

    seen = shares.any(axis=1)
    chances = np.append(shares[seen], max(0.0, 1 - shares.sum()))
    # Rules that differ only where nothing was seen share a p-value, which is what takes the time.
    alike, rule = np.unique(covers[:, seen], axis=0, return_inverse=True)

    def chance(draws: int) -> float:
        counts = np.random.default_rng(0).multinomial(draws, chances, size=RESAMPLES)[:, :-1]
        bad, good = np.moveaxis(counts.reshape(RESAMPLES, -1, 2), -1, 0)
        p_values: Floats = np.asarray(binom.cdf(bad @ alike.T, (bad + good) @ alike.T, limit), dtype=np.float64)
        return float(fallback(p_values[:, rule.reshape(-1)], budget).passed.any(axis=-1).mean())

    low, high = drawn, 2 * drawn
    while chance(high) < POWER:
        if high > MOST_DRAWS:
            return None
        low, high = high, 2 * high
    while high - low > max(1, low // 200):
        middle = (low + high) // 2
        low, high = (low, middle) if chance(middle) >= POWER else (middle, high)
    return high
