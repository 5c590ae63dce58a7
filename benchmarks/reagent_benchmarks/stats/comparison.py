"""What an arm adds to the bare agent on the same questions, whether chance could do that, and what it costs."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from math import sqrt

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field
from scipy.stats import binomtest, norm

from reagent_benchmarks.stats.intervals import CONFIDENCE, mean_over, standard_error, totals
from reagent_benchmarks.stats.rows import Change, Pair
from reagent_sdk.calibration.card import Estimate
from reagent_sdk.frozen import Frozen

POWER = 0.8
"""How often a study should find a difference that is there."""


class Comparison(Frozen):
    """An arm against the bare agent, over the runs that both have a grade for."""

    pairs: int = Field(ge=0)
    unpaired: int = Field(ge=0, description="graded rows of the arm without a graded answer of the bare agent")
    clusters: int = Field(ge=0, description="questions, or groups of them, that the pairs are of")
    fixed: int = Field(ge=0, description="wrong before, right after")
    broken: int = Field(ge=0, description="right before, wrong after")
    difference: Estimate = Field(
        description="of accuracies, in [-1, 1], with a paired bootstrap interval over clusters"
    )
    p_value: float | None = Field(ge=0, le=1, description="of McNemar's exact test, two-sided; None without pairs")
    repeated: bool = Field(description="whether a cluster has several pairs, so that the test lets each vote once")
    detectable: float | None = Field(
        ge=0,
        description="difference that so many questions find 4 times out of 5; above 1: none; None below 2 questions",
    )
    tokens_per_answer: float | None = Field(description="more tokens for each answer that is right on balance")
    cost_per_answer: float | None = Field(description="the same in dollars; None also where a price is unknown")

    @property
    def told_apart(self) -> bool:
        """Whether the interval of the difference leaves out zero."""
        low, high = self.difference.low, self.difference.high
        return low is not None and high is not None and not low <= 0 <= high


def compare(pairs: Sequence[Pair], *, unpaired: int = 0, seed: int = 0) -> Comparison:
    """Compares an arm with the bare agent.

    Args:
        pairs: of one arm and one benchmark.
        unpaired: graded rows of the arm that have none.
        seed: of the bootstrap.
    """
    changes = [pair.change for pair in pairs]
    fixed, broken = changes.count(Change.FIXED), changes.count(Change.BROKEN)
    steps = [(change is Change.FIXED) - (change is Change.BROKEN) for change in changes]
    clusters = [pair.row.cluster for pair in pairs]
    many = len(set(clusters))
    return Comparison(
        pairs=len(pairs),
        unpaired=unpaired,
        clusters=many,
        fixed=fixed,
        broken=broken,
        difference=mean_over(steps, clusters, bounds=(-1.0, 1.0), seed=seed),
        p_value=mcnemar(steps, clusters) if pairs else None,
        repeated=many < len(pairs),
        detectable=detectable(steps, clusters) if many > 1 else None,
        tokens_per_answer=_per_answer(_more(pairs, "tokens"), fixed - broken),
        cost_per_answer=_per_answer(_more(pairs, "cost_usd"), fixed - broken),
    )


def mcnemar(steps: ArrayLike, clusters: Sequence[Hashable]) -> float:
    """P-value of McNemar's exact test, two-sided: how likely so uneven a split of fixed and broken is by chance.

    The test takes rows for independent, and several epochs of one question are not. So each cluster votes once, by
    whether more of its rows were fixed or broken; a draw is no vote. With one row a question that is McNemar's test.

    Args:
        steps: [n], 1 for fixed, -1 for broken, 0 for unchanged.
        clusters: [n], what each row belongs to.
    """
    nets, _ = totals(steps, clusters)
    better, worse = int((nets > 0).sum()), int((nets < 0).sum())
    return float(binomtest(better, better + worse).pvalue) if better + worse else 1.0


def detectable(steps: ArrayLike, clusters: Sequence[Hashable]) -> float:
    """The smallest true difference that a study of this size finds 4 times out of 5, at two-sided 5%.

    It is 2.80 standard errors of the measured difference, and never less than what the exact test can call
    significant: 6 questions, all changed for the better. Where nothing changed, the standard error is that of the most
    changes that this allows.

    Args:
        steps: [n], 1 for fixed, -1 for broken, 0 for unchanged.
        clusters: [n], at least two different ones.
    """
    many = len(set(clusters))
    error = standard_error(steps, clusters)
    if not np.any(steps):
        error = sqrt((1 - ((1 - CONFIDENCE) / 2) ** (1 / many)) / many)
    factor = float(norm.ppf((1 + CONFIDENCE) / 2) + norm.ppf(POWER))
    return max(factor * error, _fewest_votes() / many)


def _fewest_votes() -> int:
    """How many questions have to agree until the exact test calls it significant: 6 at 5%."""
    votes = 1
    while binomtest(votes, votes).pvalue >= 1 - CONFIDENCE:
        votes += 1
    return votes


def _more(pairs: Sequence[Pair], field: str) -> float | None:
    """How much more the arm used than the bare agent, over all pairs; None where one of them does not say."""
    spent = [(getattr(pair.row, field), getattr(pair.base, field, None)) for pair in pairs]
    known = [after - before for after, before in spent if after is not None and before is not None]
    return float(sum(known)) if len(known) == len(pairs) else None


def _per_answer(more: float | None, answers: int) -> float | None:
    return more / answers if more is not None and answers > 0 else None
