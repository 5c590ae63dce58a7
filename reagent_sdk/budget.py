"""Limits of a run, and the meter that checks them before each call."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from pydantic import Field

from reagent_sdk.errors import BudgetExceeded
from reagent_sdk.frozen import Settings
from reagent_sdk.usage import Usage

CALL = Usage(calls=1)


class Budget(Settings):
    """Hard limits of one run; None means no limit.

    `calls` is never exceeded. `tokens` and `usd` are checked before each call, so that the last call may pass them by
    what it costs itself; calls without a known price do not count towards `usd` and are reported as unpriced.
    `seconds` cancels what is under way.
    """

    calls: int | None = Field(None, ge=1, description="model calls, the agent's and the judge's together")
    tokens: int | None = Field(None, ge=1, description="prompt and completion tokens")
    usd: float | None = Field(None, gt=0, allow_inf_nan=False, description="US dollars")
    seconds: float | None = Field(None, gt=0, allow_inf_nan=False, description="wall-clock seconds")


class Meter:
    """Counts what one run uses and refuses calls that its budget does not allow. Single use; thread-safe.

    A meter made inside another run's call passes everything on to that run's meter.

    Args:
        budget: the limits; None for none.
        parent: meter of the run around this one.
        clock: seconds that only ever grow.
        used: what the run used before, when it goes on in a new meter; it is not passed on.
        elapsed: the seconds that it took before.
    """

    def __init__(
        self,
        budget: Budget | None = None,
        *,
        parent: Meter | None = None,
        clock: Callable[[], float] = time.monotonic,
        used: Usage | None = None,
        elapsed: float = 0.0,
    ) -> None:
        self.budget = budget or Budget()
        self._parent = parent
        self._clock = clock
        self._started = clock() - elapsed
        self._usage = used or Usage()
        self._lock = threading.Lock()

    @property
    def usage(self) -> Usage:
        """What was used so far."""
        return self._usage

    @property
    def elapsed(self) -> float:
        """Seconds since the run began."""
        return self._clock() - self._started

    @property
    def remaining_seconds(self) -> float | None:
        """Seconds until the nearest deadline, ours or an enclosing run's, at least 0; None without any."""
        own = None if self.budget.seconds is None else max(0.0, self.budget.seconds - self.elapsed)
        outer = self._parent.remaining_seconds if self._parent else None
        return min((limit for limit in (own, outer) if limit is not None), default=None)

    def exhausted(self, calls: int = 1) -> str | None:
        """The limit that forbids `calls` further calls ("calls", "tokens", "usd" or "seconds"), or None."""
        limits, used = self.budget, self._usage
        if limits.calls is not None and used.calls + calls > limits.calls:
            return "calls"
        if limits.tokens is not None and used.known_tokens >= limits.tokens:
            return "tokens"
        if limits.usd is not None and used.priced_usd >= limits.usd:
            return "usd"
        if self.remaining_seconds == 0.0:
            return "seconds"
        return self._parent.exhausted(calls) if self._parent else None

    def require_room(self) -> None:
        """Checks that one more call is allowed, without counting it.

        Raises:
            BudgetExceeded: it is not.
        """
        limit = self.exhausted()
        if limit is not None:
            raise BudgetExceeded(limit, f"the budget of {limit} is used up ({self._usage})")

    def admit(self) -> None:
        """Counts one call that is about to be made.

        Raises:
            BudgetExceeded: the call is not allowed; nothing was counted.
        """
        with self._lock:
            self.require_room()
            if self._parent is not None:
                self._parent.admit()
            self._usage += CALL

    def charge(self, usage: Usage) -> None:
        """Adds what was used. The `calls` in it are added unchecked: leave them out for admitted calls."""
        with self._lock:
            self._usage += usage
        if self._parent is not None:
            self._parent.charge(usage)
