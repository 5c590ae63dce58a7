"""One caller, for the length of one request."""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import dataclass, field

from reagent_adapters.proxy.accounts_limits import Limits
from reagent_adapters.proxy.accounts_metrics import AccountMetrics
from reagent_adapters.proxy.accounts_rates import Rates
from reagent_adapters.proxy.accounts_room import BudgetUsedUp
from reagent_adapters.proxy.ledger import Grant, Ledger
from reagent_sdk.budget import Budget
from reagent_sdk.secrets import Secret
from reagent_sdk.serving.answers import Refused
from reagent_sdk.serving.log import EventLog
from reagent_sdk.usage import Usage

_PAUSES = (0.02, 0.04, 0.08, 0.16, 0.32, None)
"""Seconds between tries while others hold the rest of a budget. A request settles just after its answer has gone out,
so whoever asks one thing after the other would meet the request before."""


@dataclass(frozen=True)
class Books:
    """What the callers of a server share.

    Attributes:
        ledger: what was used; in memory by default.
        metrics: numbers by name.
        log: where failures of the ledger are written.
    """

    ledger: Ledger = field(default_factory=Ledger)
    metrics: AccountMetrics = field(default_factory=AccountMetrics)
    log: EventLog = field(default_factory=EventLog)


class KeyCaller:
    """Who asks, and what they may use. Single use.

    Attributes:
        name: what logs and metrics call it; never a key.
        limits: what it may use.
    """

    def __init__(
        self, name: str, limits: Limits, *, books: Books, rates: Rates, upstream_key: Secret | None = None
    ) -> None:
        self.name = name
        self.limits = limits
        self._books = books
        self._rates = rates
        self._upstream_key = upstream_key
        self._grant: Grant | None = None
        self._used = Usage()
        self._ended = False

    def __repr__(self) -> str:
        return f"KeyCaller({self.name!r})"

    @property
    def upstream_key(self) -> str | None:
        """The caller's own key for the upstream, None where the server's is used."""
        return None if self._upstream_key is None else self._upstream_key.reveal()

    async def admit(self, calls: int) -> None:
        """Counts one request, and reserves its calls where there is a budget of them. At most once.

        Args:
            calls: model calls that it may need, at least 1, the judge's as well.

        Raises:
            Refused: 429 `rate_limit_exceeded` where another try can help, with the seconds after which; 429
                `insufficient_quota` when a budget is used up; 503 when the ledger cannot be written.
        """
        if self._grant is not None:
            raise RuntimeError("a request is admitted once")
        self._books.metrics.request(self.name)
        try:
            await self._rates.admit(self.limits)
        except Refused:
            self._books.metrics.refusal(self.name, "rate")
            raise
        if not self.limits.budgeted:
            self._grant = Grant(self.name)
            return
        for pause in _PAUSES:
            # No pause after a reservation: one that nobody knows of would live until it lapses.
            self._grant = self._reserved(calls, last=pause is None)
            if self._grant is not None or pause is None:
                return
            await asyncio.sleep(pause)

    def require_model(self, model: str) -> None:
        """Checks that the caller may use a model.

        Raises:
            Refused: 403 `model_not_found`, as OpenAI says it.
        """
        if not self.limits.allows(model):
            self._books.metrics.refusal(self.name, "model")
            raise Refused(403, "this key has no access to this model", code="model_not_found")

    def charge(self, usage: Usage) -> None:
        """Counts what the request used, its calls included; may be called for each part of it."""
        self._books.metrics.used(self.name, usage)
        if self._ended:
            self._settle(Grant(self.name), usage)
        else:
            self._used += usage

    def budget(self) -> Budget | None:
        """What the request may use; None where nothing is limited, and before it is admitted."""
        grant = self._grant
        # A rate of tokens leaves a run all the room there is, but what it uses has to be counted.
        if grant is None or not (self.limits.budgeted or self.limits.tokens_per_minute):
            return None
        return Budget(calls=grant.calls, tokens=grant.tokens, usd=grant.usd)

    async def headers(self) -> list[tuple[bytes, bytes]]:
        """What answers tell of its rates; empty without any."""
        return await self._rates.headers(self.limits)

    async def end(self) -> None:
        """Records what was used and gives back what was not."""
        self._ended = True
        grant = self._grant or Grant(self.name)
        if grant.hold is not None or self._used != Usage():
            self._settle(grant, self._used)
        await self._rates.count_tokens(self.limits, self._used.known_tokens)

    def _reserved(self, calls: int, *, last: bool) -> Grant | None:
        """What the request may use; None while others hold it and another try is to come."""
        books = self._books
        try:
            return books.ledger.reserve(self.name, self.limits, calls)
        except BudgetUsedUp as error:
            if error.for_now and not last:
                return None
            books.metrics.refusal(self.name, "budget")
            if error.for_now:
                raise Refused(429, str(error), retry_after=1, code="rate_limit_exceeded") from None
            refused = Refused(429, str(error), kind="insufficient_quota", code="insufficient_quota")
            refused.headers["x-should-retry"] = "false"  # OpenAI's clients repeat every other 429
            raise refused from None
        except sqlite3.Error as error:
            books.metrics.refusal(self.name, "ledger")
            books.log.write("ledger-failed", key=self.name, error=error)
            raise Refused(503, "the budget of this key cannot be looked up now; try again", retry_after=5) from None

    def _settle(self, grant: Grant, usage: Usage) -> None:
        try:
            self._books.ledger.settle(grant, usage)
        except sqlite3.Error as error:
            self._books.log.write("ledger-late", key=self.name, error=error)
