"""What a caller may use: rates, budgets, models, and until when."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from fnmatch import fnmatchcase
from typing import Annotated, Literal, TypeAlias

from pydantic import BeforeValidator, Field

from reagent_sdk.frozen import Frozen

Period: TypeAlias = Literal["day", "month", "total"]
"""What a budget covers: a day or a calendar month in UTC, or all time."""

_MOST_REQUESTS = 100_000
"""A moving window remembers every request in it."""


def _moment(given: object) -> object:
    """Reads an end: a time with its zone, or a day, which stands for its first moment in UTC."""
    if isinstance(given, str):
        try:
            given = date.fromisoformat(given) if len(given) == 10 else datetime.fromisoformat(given)
        except ValueError:
            raise ValueError("is no time; write it as 2027-01-31 or 2027-01-31T18:00:00Z") from None
    if isinstance(given, datetime):
        if given.tzinfo is None:
            raise ValueError("has no time zone; write it as 2027-01-31T18:00:00Z")
        return given.astimezone(UTC)
    if isinstance(given, date):
        return datetime.combine(given, time(), UTC)
    raise ValueError("is no time; write it as 2027-01-31 or 2027-01-31T18:00:00Z")


class Limits(Frozen):
    """The limits of one key; None means no limit.

    Rates count over 60 seconds in this process. Budgets count over `period`, in the ledger.
    """

    requests_per_minute: int | None = Field(None, strict=True, ge=1, le=_MOST_REQUESTS)
    tokens_per_minute: int | None = Field(None, strict=True, ge=1, description="prompt and completion tokens")
    calls: int | None = Field(None, strict=True, ge=1, description="model calls, the judge's as well; never exceeded")
    tokens: int | None = Field(None, strict=True, ge=1, description="prompt and completion tokens")
    usd: float | None = Field(None, strict=True, gt=0, description="US dollars")
    period: Period = Field("total", description="what calls, tokens and usd cover")
    usd_if_unpriced: float | None = Field(
        None, strict=True, gt=0, description="what a call of unknown price counts as; without it, one ends the period"
    )
    tokens_if_unmetered: int | None = Field(
        None, strict=True, ge=1, description="what a call without token counts counts as; without it, one ends it"
    )
    expires: Annotated[datetime, BeforeValidator(_moment)] | None = None
    models: tuple[str, ...] | None = Field(None, min_length=1, description="names or patterns such as gpt-4o*")

    @property
    def budgeted(self) -> bool:
        """Whether the ledger has to be asked before a request."""
        return self.calls is not None or self.tokens is not None or self.usd is not None

    def allows(self, model: str) -> bool:
        """Whether the caller may use a model."""
        return self.models is None or any(fnmatchcase(model, pattern) for pattern in self.models)

    def expired(self, now: datetime) -> bool:
        """Whether the end has come; `now` has a time zone."""
        return self.expires is not None and now >= self.expires
