"""pass@k: the chance that at least one of k tries at a question is right."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb

from pydantic import Field

from reagent_benchmarks.outcomes import ArmResult
from reagent_benchmarks.stats.intervals import mean_over
from reagent_sdk.calibration.card import Estimate
from reagent_sdk.errors import InvalidInput
from reagent_sdk.frozen import Frozen


class PassAt(Frozen):
    """pass@k of an arm, the mean over questions that have k graded tries."""

    k: int = Field(ge=1)
    questions: int = Field(ge=1, description="with at least k graded tries")
    left_out: int = Field(ge=0, description="questions with fewer")
    share: Estimate


def pass_at_k(tries: int, right: int, k: int) -> float:
    """Unbiased estimate of pass@k from one question's tries (Chen et al. 2021), in [0, 1].

    It is the share of all sets of k tries that hold a right one: 1 - C(tries - right, k) / C(tries, k).

    Args:
        tries: graded tries at the question, at least k.
        right: how many of them are right.
        k: at least 1.

    Raises:
        InvalidInput: k below 1, fewer tries than k, or more right ones than tries.
    """
    if not 1 <= k <= tries:
        raise InvalidInput(f"pass@{k} needs k of 1 or more and at least k tries, not {tries}; run more epochs")
    if not 0 <= right <= tries:
        raise InvalidInput(f"{right} of {tries} tries cannot be right")
    return 1.0 - comb(tries - right, k) / comb(tries, k)


def pass_at(rows: Sequence[ArmResult], *, seed: int = 0) -> tuple[PassAt, ...]:
    """pass@k of one arm of one benchmark, for k = 1, 2, 4, ... up to the most graded tries that a question has.

    Epochs and seeds of a question are its tries. Tries without a grade are no tries. Empty when no question has two.
    """
    tries: dict[str, list[ArmResult]] = {}
    for row in rows:
        tries.setdefault(row.sample, []).append(row)
    graded = [[row for row in own if row.outcome.graded] for own in tries.values()]
    most = max(map(len, graded), default=0)
    return tuple(_pass_at(graded, 2**power, seed) for power in range(most.bit_length())) if most > 1 else ()


def _pass_at(graded: list[list[ArmResult]], k: int, seed: int) -> PassAt:
    kept = [own for own in graded if len(own) >= k]
    values = [pass_at_k(len(own), sum(row.right is True for row in own), k) for own in kept]
    share = mean_over(values, [own[0].cluster for own in kept], seed=seed)
    return PassAt(k=k, questions=len(kept), left_out=len(graded) - len(kept), share=share)
