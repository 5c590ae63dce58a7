"""Models of smolagents that ask the run's meter before each call."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from typing import Any

from reagent_adapters.critique import counted
from reagent_sdk.budget import Meter
from reagent_sdk.errors import BudgetExceeded
from reagent_sdk.usage import Usage


class Gate:
    """Admits the model calls of one attempt. Thread-safe.

    Attributes:
        used: by the attempt so far.
        refused: why a call was refused, None while none was.
    """

    def __init__(self, meter: Meter) -> None:
        self.used = Usage()
        self.refused: BudgetExceeded | None = None
        self._meter = meter
        self._open = True
        self._lock = threading.Lock()

    def admit(self) -> None:
        """Counts a call that is about to be made.

        Raises:
            BudgetExceeded: the budget allows none.
            RuntimeError: the attempt was given up.
        """
        with self._lock:
            if not self._open:
                raise RuntimeError("the run was cancelled")
            try:
                self._meter.admit()
            except BudgetExceeded as error:
                self.refused = error
                raise
            self.used += Usage(calls=1)

    def charge(self, told: Any) -> None:
        """Adds what an admitted call used; `told` is a `TokenUsage` or None."""
        tokens = counted(
            calls=1, prompt=getattr(told, "input_tokens", 0) or 0, completion=getattr(told, "output_tokens", 0) or 0
        )
        usage = tokens.model_copy(update={"calls": 0})
        with self._lock:
            self.used += usage
        self._meter.charge(usage)

    def close(self) -> bool:
        """Refuses calls from now on. True when it was open, as it is once."""
        with self._lock:
            was, self._open = self._open, False
        return was


class Metered:
    """A model that asks a gate first, and is the model itself in everything else."""

    def __init__(self, model: Any, gate: Gate) -> None:
        self.unmetered = model
        self._gate = gate

    def generate(self, *args: Any, **kwargs: Any) -> Any:
        """Makes one call.

        Raises:
            BudgetExceeded: the budget allows none.
        """
        self._gate.admit()
        message = self.unmetered.generate(*args, **kwargs)
        self._gate.charge(getattr(message, "token_usage", None))
        return message

    __call__ = generate

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "unmetered":
            raise AttributeError(name)
        found = getattr(self.unmetered, name)
        return functools.partial(self._stream, found) if name == "generate_stream" else found

    def _stream(self, stream: Callable[..., Iterator[Any]], *args: Any, **kwargs: Any) -> Iterator[Any]:
        self._gate.admit()
        told = None
        for delta in stream(*args, **kwargs):
            told = getattr(delta, "token_usage", None) or told
            yield delta
        self._gate.charge(told)
