"""Whether a budget has room for another request."""

from __future__ import annotations

from datetime import date

from reagent_adapters.proxy.accounts_limits import Limits, Period
from reagent_adapters.proxy.accounts_tables import Spent


class BudgetUsedUp(Exception):
    """A budget allows no further call. One sentence for the caller.

    Attributes:
        limit: "calls", "tokens" or "usd".
        for_now: requests under way hold the rest, and may give some of it back.
    """

    def __init__(self, limit: str, message: str, *, for_now: bool = False) -> None:
        super().__init__(message)
        self.limit = limit
        self.for_now = for_now


def period_start(period: Period, today: date) -> date:
    """The first day that a budget covers."""
    if period == "total":
        return date.min
    return today if period == "day" else today.replace(day=1)


def require_room(limits: Limits, spent: Spent, left: dict[str, int | float | None]) -> None:
    """Checks that a budget is not used up.

    Args:
        limits: the budget.
        spent: what was used in its period.
        left: what is left of calls, tokens and usd; None for no limit.

    Raises:
        BudgetUsedUp: one is, or cannot be kept because what calls used is not known.
    """
    if limits.tokens is not None and limits.tokens_if_unmetered is None and spent.usage.unmetered_calls:
        raise BudgetUsedUp("tokens", _unknown(spent.usage.unmetered_calls, "token counts", "tokens_if_unmetered"))
    if limits.usd is not None and limits.usd_if_unpriced is None and spent.usage.unpriced_calls:
        raise BudgetUsedUp("usd", _unknown(spent.usage.unpriced_calls, "price", "usd_if_unpriced"))
    for limit, rest in left.items():
        if rest is not None and rest <= 0:
            covers = "" if limits.period == "total" else f" a {limits.period}"
            raise BudgetUsedUp(limit, f"this key's budget of {getattr(limits, limit)} {limit}{covers} is used up")


def _unknown(calls: int, what: str, field: str) -> str:
    return (
        f"{calls} model calls of this key had no known {what}, so its budget cannot be kept; "
        f"whoever runs this server can set {field}"
    )
