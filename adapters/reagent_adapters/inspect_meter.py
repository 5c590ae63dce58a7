"""Counts the model calls of an inspect_ai solver on the budget of the run that they are made for."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from reagent_adapters.versions import require
from reagent_sdk import scope
from reagent_sdk.errors import BudgetExceeded
from reagent_sdk.usage import Usage

require("inspect-ai", "inspect")

from inspect_ai.hooks import BeforeModelGenerate, Hooks, ModelUsageData, hooks  # noqa: E402
from inspect_ai.model import ModelUsage  # noqa: E402
from inspect_ai.util import LimitExceededError  # noqa: E402


class Tally:
    """What the model calls of one attempt used.

    Attributes:
        usage: all of them together.
        refused: set when the budget allowed no further call.
    """

    def __init__(self) -> None:
        self.usage = Usage()
        self.refused: BudgetExceeded | None = None
        self._silent = 0

    def admit(self) -> None:
        """Counts a call that is about to be made.

        Raises:
            LimitExceededError: the budget has no room for it. It is the error that agents of inspect_ai let through.
        """
        try:
            scope.current().meter.admit()
        except BudgetExceeded as error:
            self.refused = error
            raise LimitExceededError("custom", value=1, limit=0, message=str(error)) from error
        self.usage += Usage(calls=1)
        self._silent += 1

    def charge(self, used: ModelUsage) -> None:
        """Adds what an admitted call reported."""
        cached, cost = used.input_tokens_cache_read or 0, getattr(used, "total_cost", None)
        self._silent -= 1
        self._add(
            Usage(
                prompt_tokens=used.input_tokens + cached + (used.input_tokens_cache_write or 0),
                completion_tokens=used.output_tokens,
                cached_tokens=cached,
                priced_usd=cost or 0.0,
                unpriced_calls=int(cost is None),
            )
        )

    def close(self) -> None:
        """Counts the calls that reported nothing as unknown."""
        silent, self._silent = max(0, self._silent), 0
        self._add(Usage(unpriced_calls=silent, unmetered_calls=silent))

    def _add(self, usage: Usage) -> None:
        scope.current().meter.charge(usage)
        self.usage += usage


_tally: ContextVar[Tally | None] = ContextVar("reagent_inspect_tally", default=None)


@contextmanager
def tallied() -> Iterator[Tally]:
    """Counts the model calls made inside, also those of tasks started there."""
    _listen()
    tally = Tally()
    token = _tally.set(tally)
    try:
        yield tally
    finally:
        _tally.reset(token)
        tally.close()


@functools.cache
def _listen() -> None:
    """Registers the hooks on first use: inspect_ai announces hooks that are there when an evaluation begins."""

    @hooks(name="reagent_budget", description="counts model calls on the budget of a critique run")
    class _Metering(Hooks):
        def enabled(self) -> bool:
            return _tally.get() is not None

        async def on_before_model_generate(self, data: BeforeModelGenerate) -> None:
            if (tally := _tally.get()) is not None:
                tally.admit()

        async def on_model_usage(self, data: ModelUsageData) -> None:
            if (tally := _tally.get()) is not None:
                tally.charge(data.usage)
