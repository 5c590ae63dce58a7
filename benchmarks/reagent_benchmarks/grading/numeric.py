"""Numbers by value: units, thousands separators and words are read, and differences within a tolerance are no error."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

from reagent_benchmarks.grading.base import Grade, RuleGrader
from reagent_benchmarks.grading.quantities import Quantity, quantity
from reagent_sdk.errors import InvalidInput


class NumericGrader(RuleGrader):
    """Right: one number, of the right value and of no other unit.

    A unit may be left out on either side; units are compared by name and never converted, but that 50% is also 0.5.

    Args:
        absolute: largest difference that counts as equal.
        relative: the same as a share of the reference, in [0, 1); a reference of 0 has no share, and so is exact.

    Raises:
        InvalidInput: a tolerance out of range.
    """

    name = "numeric"

    def __init__(self, *, absolute: float = 0.0, relative: float = 0.0) -> None:
        if not (math.isfinite(absolute) and absolute >= 0 and 0 <= relative < 1):
            raise InvalidInput(f"absolute must be at least 0 and relative in [0, 1), not {absolute} and {relative}")
        self._absolute, self._relative = Fraction(str(absolute)), Fraction(str(relative))

    def compare(self, said: str, references: Sequence[str], question: str) -> Grade:
        """Compares values."""
        wanted = [read for read in map(quantity, references) if read is not None]
        if not wanted:
            return Grade.failed(f"the reference {references[0]!r} is not one number")
        given = quantity(said)
        if given is None:
            return Grade.of(False, f"{said!r} is not one number")
        right = any(self._same(given, one) for one in wanted)
        return Grade.of(right, f"says {said!r}" if right else f"says {said!r}, not {references[0]!r}")

    def _same(self, given: Quantity, wanted: Quantity) -> bool:
        most = max(self._absolute, self._relative * abs(wanted.value))
        return given.fits(wanted) and given.same_value(wanted, most)
