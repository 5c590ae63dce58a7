"""Calls code that is not ours, sync or async, without blocking the event loop and with its calls accounted for."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import anyio.to_thread

from reagent_sdk import scope
from reagent_sdk.usage import Usage


def is_async(function: Callable[..., Any]) -> bool:
    """Whether calling it gives a coroutine: async functions, partials of them and objects with an async `__call__`."""
    if inspect.iscoroutinefunction(function):
        return True
    call = getattr(type(function), "__call__", None)  # noqa: B004 - the method itself is wanted
    return not inspect.isfunction(function) and inspect.iscoroutinefunction(call)


def callable_name(function: object) -> str:
    """A readable name for a function, a partial or an object."""
    while isinstance(function, functools.partial):
        function = function.func
    return getattr(function, "__qualname__", None) or type(function).__qualname__


async def call_metered(function: Callable[..., Any], *args: Any, **kwargs: Any) -> tuple[Any, Usage]:
    """Calls `function`, a sync one in a worker thread, and returns its result and what it used.

    Calls that the function makes through our clients are on the run's meter already. A function that makes none counts
    as one call of unknown price. Cancelling abandons a sync function: a thread cannot be stopped from outside, so it
    runs on unheard.

    Raises:
        BudgetExceeded: the budget has no room for even one call; the function was not called.
    """
    meter = scope.current().meter
    before = meter.usage
    meter.require_room()
    if is_async(function):
        result = await function(*args, **kwargs)
    else:
        call = functools.partial(function, *args, **kwargs)
        result = await anyio.to_thread.run_sync(call, abandon_on_cancel=True)
        if inspect.isawaitable(result):
            result = await result
    if meter.usage.calls == before.calls:
        meter.charge(Usage(calls=1, unpriced_calls=1, unmetered_calls=1))
    return result, meter.usage - before
