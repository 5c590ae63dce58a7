"""Figures in the words of tables: the same on the terminal and on the page."""

from __future__ import annotations

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
    """Dollars, with enough digits to be more than zero."""
    if value is None:
        return UNKNOWN
    if value == 0 or abs(value) >= 0.01:
        return f"${value:,.2f}" if value >= 0 else f"-${-value:,.2f}"
    return f"${value:.2g}" if value > 0 else f"-${-value:.2g}"


def _signed(value: float) -> str:
    return f"{100 * value:+.1f}" if abs(value) >= 0.0005 else "0.0"
