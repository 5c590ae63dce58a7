"""Figures in the words of tables: the same on the terminal and on the page."""

from __future__ import annotations

import math

from reagent_sdk.calibration.card import Estimate

UNKNOWN = "-"


def share(estimate: Estimate, *, between: str = " ") -> str:
    """A share with its interval, in percent; the ends without their unit."""
    if estimate.value is None:
        return UNKNOWN
    low, high = estimate.low, estimate.high
    return f"{estimate.value:.1%}" + (
        "" if low is None or high is None else f"{between}{100 * low:.1f}..{100 * high:.1f}"
    )


def points(estimate: Estimate, *, between: str = " ") -> str:
    """A difference of shares with its interval, in percentage points."""
    if estimate.value is None:
        return UNKNOWN
    low, high = estimate.low, estimate.high
    ends = "" if low is None or high is None else f"{between}{_signed(low)}..{_signed(high)}"
    return _signed(estimate.value) + ends


def probability(value: float | None) -> str:
    """A p-value; very small ones as a bound."""
    if value is None:
        return UNKNOWN
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def count(value: float | None) -> str:
    """A number of tokens, in whole ones."""
    return UNKNOWN if value is None else f"{value:,.0f}"


def cost(value: float | None) -> str:
    """Dollars, below one with two digits that are not leading zeros."""
    if value is None:
        return UNKNOWN
    size = abs(value)
    digits = 1 - math.floor(math.log10(size)) if 0 < size < 1 else 2
    return f"{'-' if value < 0 else ''}${size:,.{max(digits, 2)}f}"


def _signed(value: float) -> str:
    return f"{100 * value:+.1f}" if abs(value) >= 0.0005 else "0.0"
