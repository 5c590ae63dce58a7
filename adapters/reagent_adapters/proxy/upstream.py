"""What stands behind the proxy: the model that drafts and revises."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from reagent_sdk.serving.account import Account

if TYPE_CHECKING:
    from starlette.types import Send

Json: TypeAlias = dict[str, Any]
"""A JSON object in the format of the OpenAI protocol."""


@dataclass(frozen=True)
class Origin:
    """Which request a call belongs to.

    Attributes:
        account: the request's account.
        key: the caller's own key for the upstream, None to use the server's.
        headers: headers of the caller that belong to the key, such as `openai-organization`.
    """

    account: Account
    key: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


class Upstream(Protocol):
    """A chat model, or a server of several.

    Calls are admitted and charged on the current scope's meter. All failures are refusals, in words for the caller.
    """

    @property
    def name(self) -> str:
        """What is called, for people to read; never a key."""

    async def complete(self, body: Mapping[str, Any], origin: Origin, *, live: bool) -> Json:
        """One chat completion.

        Args:
            body: the request, without `stream`.
            origin: whose it is.
            live: whether to emit text on the current scope while it is written, where the upstream can.

        Returns:
            The completion, with everything that the upstream put in it and with at least one choice.

        Raises:
            Refused: there is none.
            BudgetExceeded: the run's budget does not allow another call.
        """

    def stream(self, body: Mapping[str, Any], origin: Origin) -> AsyncGenerator[Json, None]:
        """The chunks of a chat completion, as they come.

        Raises:
            Refused: it failed; also after the first chunks.
        """

    async def pass_on(self, path: str, body: Mapping[str, Any], origin: Origin, send: Send) -> bool:
        """Passes a request of any method through, reply and all.

        Returns:
            False when this upstream takes no requests as they are; nothing was sent then.

        Raises:
            Refused: it failed before anything was sent.
            BrokenOff: it failed later.
        """

    async def models(self, origin: Origin) -> list[Json]:
        """The models that callers can name, in the format of `/v1/models`.

        Raises:
            Refused: the upstream does not tell.
        """

    async def reachable(self) -> str:
        """Why it cannot be reached; empty when it can, or when nobody knows before it is called."""

    async def aclose(self) -> None:
        """Frees what it holds. Idempotent."""


class BrokenOff(Exception):
    """The upstream's reply ended before its end, after the first part of it was sent on."""
