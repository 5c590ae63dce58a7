"""Rows in order: no row twice, each beside what the same question came to before the arm did anything."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple

from reagent_benchmarks.outcomes import ArmResult, Outcome
from reagent_sdk.errors import InvalidInput

BARE = "bare"
"""The arm that all others are compared with: the agent's first attempt, as it is."""


class Place(NamedTuple):
    """One run of a question; arms are paired by it."""

    benchmark: str
    sample: str
    epoch: int
    seed: int


class Change(StrEnum):
    """What an arm did to the answer of the bare agent."""

    FIXED = "fixed"
    """Wrong before, right after."""
    BROKEN = "broken"
    """Right before, wrong after."""
    KEPT_RIGHT = "kept_right"
    KEPT_WRONG = "kept_wrong"

    @classmethod
    def of(cls, before: bool, after: bool) -> Change:
        """The change from one answer to another; True is right."""
        if before == after:
            return cls.KEPT_RIGHT if after else cls.KEPT_WRONG
        return cls.FIXED if after else cls.BROKEN


class Pair(NamedTuple):
    """A graded row beside the graded answer of the bare agent.

    Attributes:
        row: of the arm.
        before: whether the bare agent's answer is right.
        base: the bare arm's row; None where there is no such arm and `before` is the row's own first attempt.
    """

    row: ArmResult
    before: bool
    base: ArmResult | None

    @property
    def change(self) -> Change:
        """What the arm did."""
        return Change.of(self.before, self.row.outcome is Outcome.RIGHT)


def checked(results: Iterable[ArmResult]) -> list[ArmResult]:
    """The rows as a list.

    Raises:
        InvalidInput: no rows, or two of one benchmark, sample, epoch, arm and seed.
    """
    rows = list(results)
    if not rows:
        raise InvalidInput("there are no results: run a benchmark first")
    seen: set[tuple[Place, str]] = set()
    for row in rows:
        one = (place(row), row.arm)
        if one in seen:
            raise InvalidInput(
                f"{row.benchmark}/{row.sample}, epoch {row.epoch}, seed {row.seed} is there twice for arm {row.arm!r}; "
                "pass each result once"
            )
        seen.add(one)
    return rows


def place(row: ArmResult) -> Place:
    """Which run of a question a row is of."""
    return Place(row.benchmark, row.sample, row.epoch, row.seed)


def benchmarks(rows: Iterable[ArmResult]) -> dict[str, list[ArmResult]]:
    """Rows by benchmark, in order of appearance."""
    found: dict[str, list[ArmResult]] = {}
    for row in rows:
        found.setdefault(row.benchmark, []).append(row)
    return found


def by_arm(rows: Iterable[ArmResult], bare: str = BARE) -> dict[str, list[ArmResult]]:
    """Rows by arm: the bare one first, the others in order of appearance."""
    found: dict[str, list[ArmResult]] = {bare: []}
    for row in rows:
        found.setdefault(row.arm, []).append(row)
    return {arm: own for arm, own in found.items() if own}


def pairs(rows: Sequence[ArmResult], bare: str = BARE) -> list[Pair | None]:
    """Each row's pair, [n]; None for bare rows and where either answer has no grade.

    In a benchmark without a bare arm, the shared first attempt stands in for it: that is what a bare arm returns.

    Args:
        rows: [n], of any benchmarks and arms.
        bare: name of the arm to compare with.
    """
    bases = {place(row): row for row in rows if row.arm == bare}
    with_bare = {one.benchmark for one in bases}
    found: list[Pair | None] = []
    for row in rows:
        base = bases.get(place(row))
        before = base.outcome if base else None if row.benchmark in with_bare else row.first
        known = row.arm != bare and row.outcome.graded and before is not None and before.graded
        found.append(Pair(row, before is Outcome.RIGHT, base) if known else None)
    return found
