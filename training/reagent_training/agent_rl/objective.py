r"""The equations of the paper (arXiv 2601.22154) that lie outside TRL's loss, as pure functions.

    Eq. 6   R = R_rule + lambda * R_model
    Eq. 7   A_i^k = (R_i^k - mean(pool)) / std(pool),   the pool: all 2G rewards of a task, k = 1 first, 2 revised
    Eq. 8-9 the clipped ratio with its divergence, summed over both attempts, each under its own context

Eq. 7 is what TRL computes for groups of 2G; :func:`pooled_advantages` says the same in a few lines, for the report and
for the test that compares the two. Eq. 8 and 9 are TRL's own loss, given each attempt's own prompt, tokens and mask.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

EPSILON = 1e-4
"""What TRL adds to the standard deviation."""


def total_reward(rule: float | None, score: float | None, weight: float) -> float | None:
    """Eq. 6: R = R_rule + lambda * R_model. A sum, so a right answer that the judge dislikes is still worth 1.

    Args:
        rule: what the rule gives, in [0, 1]; None where it could not tell.
        score: the judge's, in [0, 1]; None where it failed.
        weight: lambda; at 0 the judge is not needed.

    Returns:
        None where a part that is needed is missing: the attempt then stays out of its group. It is never a 0.
    """
    if rule is None or (weight and score is None):
        return None
    return rule + weight * (score or 0.0) if weight else rule


def pooled_advantages(rewards: Sequence[float | None]) -> list[float]:
    """Eq. 7 over one pool: (R - mean) / (std + 1e-4), std with Bessel's correction, as TRL has it.

    Args:
        rewards: of all attempts of a task; None for those that are left out of the mean and the deviation.

    Returns:
        The advantages; 0 for those that are left out, and for all where fewer than two rewards remain.
    """
    known = [reward for reward in rewards if reward is not None]
    if len(known) < 2:
        return [0.0] * len(rewards)
    mean = sum(known) / len(known)
    std = math.sqrt(sum((reward - mean) ** 2 for reward in known) / (len(known) - 1))
    return [0.0 if reward is None else (reward - mean) / (std + EPSILON) for reward in rewards]


def is_degenerate(rewards: Sequence[float | None]) -> bool:
    """Whether a group moves nothing: fewer than two rewards, or all of them equal."""
    known = [reward for reward in rewards if reward is not None]
    return len(known) < 2 or max(known) - min(known) < 1e-8
