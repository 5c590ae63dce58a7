"""The run that a call belongs to.

The loop enters a scope around every call to the agent or the judge. A client finds it here, asks the meter before it
calls a model and reports what the call used, so that a budget also covers clients used deep inside a user's own code.
Outside a run the scope is free: no limits, nobody watching.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reagent_sdk.budget import Meter
from reagent_sdk.events import Event, Stage

if TYPE_CHECKING:
    from reagent_sdk.judges.base import Judge

Observer = Callable[[Event], None]


@dataclass(frozen=True)
class Scope:
    """Meter, observer and judge of the run under way, and whose turn it is."""

    meter: Meter = field(default_factory=Meter)
    observe: Observer | None = None
    stage: Stage = "agent"
    judge: Judge | None = None
    redacted: bool = True
    """Whether answers that a critique gives away are removed before the agent reads it."""

    def emit(self, event: Event) -> None:
        """Shows an event to the observer, if there is one."""
        if self.observe is not None:
            self.observe(event)


_current: ContextVar[Scope | None] = ContextVar("reagent_scope", default=None)


def current() -> Scope:
    """The scope of the call under way; a free one outside any run."""
    return _current.get() or Scope()


def enclosing_meter() -> Meter | None:
    """Meter of the run that we are called in, or None."""
    scope = _current.get()
    return scope.meter if scope else None


@contextmanager
def entered(scope: Scope) -> Iterator[Scope]:
    """Makes `scope` the current one. Enter and leave within one step of a generator: contexts do not span a yield."""
    token = _current.set(scope)
    try:
        yield scope
    finally:
        _current.reset(token)
