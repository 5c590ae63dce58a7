"""Who asks: what the proxy needs to know of a caller, whatever authenticated it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from reagent_sdk.budget import Budget
from reagent_sdk.usage import Usage

if TYPE_CHECKING:
    from starlette.types import Scope

SCOPE_KEY = "reagent.caller"
"""Where a layer that authenticates leaves the caller."""


class Caller(Protocol):
    """One caller, for the length of a request."""

    @property
    def name(self) -> str:
        """What logs call it; never a key."""

    @property
    def upstream_key(self) -> str | None:
        """The caller's own key for the upstream, None where the server's is used."""

    async def admit(self, calls: int) -> None:
        """Counts one request.

        Args:
            calls: model calls that it may need, at least 1, the judge's as well.

        Raises:
            Refused: a rate or a budget is used up.
        """

    def require_model(self, model: str) -> None:
        """Checks that the caller may use a model.

        Raises:
            Refused: it may not.
        """

    def charge(self, usage: Usage) -> None:
        """Counts what a request used."""

    def budget(self) -> Budget | None:
        """What is left for this request; None for no limit."""


class Anybody:
    """Everybody, on a server that asks for no keys."""

    name = "anybody"
    upstream_key: str | None = None

    async def admit(self, calls: int) -> None:
        """Admits."""

    def require_model(self, model: str) -> None:
        """Allows all."""

    def charge(self, usage: Usage) -> None:
        """Counts nothing."""

    def budget(self) -> Budget | None:
        """No limit."""
        return None


ANYBODY = Anybody()


def caller_of(scope: Scope) -> Caller:
    """The caller of a request."""
    caller: Caller = scope.get(SCOPE_KEY, ANYBODY)
    return caller
