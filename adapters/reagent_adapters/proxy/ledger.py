"""What each key has used, in SQLite: it outlives restarts, and several processes can share it.

Calls are reserved before a request and settled after it, so that requests that run at the same time cannot pass a
budget of calls together. Tokens and dollars are known only afterwards: they can pass theirs by what is under way.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from reagent_adapters.proxy.accounts_limits import Limits, Period
from reagent_adapters.proxy.accounts_room import BudgetUsedUp, period_start, require_room
from reagent_adapters.proxy.accounts_tables import Spent, add, drop_hold, hold, lapse, open_database, spent_since
from reagent_sdk.errors import InvalidInput
from reagent_sdk.usage import Usage


@dataclass(frozen=True)
class Grant:
    """What one request may use; None means no limit.

    Attributes:
        name: whose it is.
        hold: number of the reservation, None when nothing is reserved.
        calls: model calls, which are reserved.
        tokens: tokens that were left when the request began.
        usd: dollars that were left.
    """

    name: str
    hold: int | None = None
    calls: int | None = None
    tokens: int | None = None
    usd: float | None = None


class Ledger:
    """The ledger. Thread-safe; a transaction takes about a tenth of a millisecond.

    Args:
        path: the database, made when it is not there; None keeps it in memory.
        hold_seconds: how long a reservation lives when nobody settles it, because its process was killed. Longer than
            any request. Its calls then count as used, since nobody knows which of them were made.
        now: the time, with its zone.

    Raises:
        InvalidInput: the database cannot be opened, or is none of ours.
    """

    def __init__(
        self,
        path: Path | None = None,
        *,
        hold_seconds: float = 3600.0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        try:
            self._database = open_database(path)
        except sqlite3.Error as error:
            raise InvalidInput(f"cannot use {path} as a ledger: {error}") from None
        self._hold_seconds = hold_seconds
        self._now = now
        self._lock = threading.Lock()
        self._late: list[tuple[Grant, Usage]] = []

    def reserve(self, name: str, limits: Limits, calls: int) -> Grant:
        """Admits one request.

        Args:
            name: whose it is.
            limits: what the key may use.
            calls: model calls that the request may need, at least 1; it gets fewer when the budget has fewer left.

        Raises:
            BudgetUsedUp: nothing is left, nothing is known about what is left, or requests under way hold it.
            sqlite3.Error: the database cannot be written.
        """
        with self._transaction() as (database, now):
            spent = spent_since(database, name, period_start(limits.period, now.date()))
            left = None if limits.calls is None else limits.calls - spent.usage.calls
            tokens = None if limits.tokens is None else limits.tokens - spent.tokens(limits.tokens_if_unmetered)
            usd = None if limits.usd is None else limits.usd - spent.usd(limits.usd_if_unpriced)
            require_room(limits, spent, {"calls": left, "tokens": tokens, "usd": usd})
            if left is None:
                return Grant(name, tokens=tokens, usd=usd)
            granted = min(left, calls)
            if granted > left - spent.held:  # to give it fewer would cost it its revision for what may come back soon
                told = f"requests under way hold {spent.held} of the {left} calls left to this key; try again later"
                raise BudgetUsedUp("calls", told, for_now=True)
            number = hold(database, name, granted, (now + timedelta(seconds=self._hold_seconds)).timestamp())
            return Grant(name, hold=number, calls=granted, tokens=tokens, usd=usd)

    def settle(self, grant: Grant, usage: Usage) -> None:
        """Ends a request: records what it used, and gives back the calls that it did not use.

        Raises:
            sqlite3.Error: the database cannot be written. What was used is kept, and recorded with the next request.
        """
        with self._lock:
            self._late.append((grant, usage))
        with self._transaction():
            pass  # every transaction records what is late

    def spent(self, name: str, period: Period = "total") -> Spent:
        """What a key has used in the current period.

        Raises:
            sqlite3.Error: the database cannot be read.
        """
        with self._transaction() as (database, now):
            return spent_since(database, name, period_start(period, now.date()))

    def close(self) -> None:
        """Closes the database."""
        with self._lock:
            self._database.close()

    @contextmanager
    def _transaction(self) -> Iterator[tuple[sqlite3.Connection, datetime]]:
        """A transaction that begins with what is overdue: late settlements, and reservations that nobody settled."""
        with self._lock:
            now = self._now().astimezone(UTC)
            self._database.execute("BEGIN IMMEDIATE")
            try:
                for grant, usage in self._late:
                    _settle(self._database, grant, usage, now)
                lapse(self._database, now)
                yield self._database, now
            except BudgetUsedUp:
                self._commit()  # what was overdue is right, whatever became of the request
                raise
            except BaseException:
                self._roll_back()
                raise
            self._commit()

    def _commit(self) -> None:
        try:
            self._database.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise
        self._late.clear()

    def _roll_back(self) -> None:
        if self._database.in_transaction:  # a full disk ends it by itself
            self._database.execute("ROLLBACK")


def _settle(database: sqlite3.Connection, grant: Grant, usage: Usage, now: datetime) -> None:
    if grant.hold is not None and not drop_hold(database, grant.hold):
        # It lapsed, and its calls were counted then.
        usage = usage.model_copy(update={"calls": max(0, usage.calls - (grant.calls or 0))})
    add(database, grant.name, now.date(), usage)
