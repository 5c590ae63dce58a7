"""The formats that callers speak: chat completions, and responses."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Protocol

from reagent_adapters.proxy.sse import encoded
from reagent_adapters.proxy.upstream import Json
from reagent_sdk.serving.answers import Refused


class Dialect(Protocol):
    """A format of requests and answers, seen from chat completions."""

    @property
    def path(self) -> str | None:
        """Where bare requests go at the upstream as they are; None for nowhere."""

    def to_chat(self, body: Json) -> Json:
        """The request as one for a chat completion.

        Raises:
            Refused: 400, when it cannot be.
        """

    def from_chat(self, completion: Json, body: Json) -> Json:
        """The answer to `body` that a completion makes."""

    def events(self, chunks: AsyncGenerator[Json, None], body: Json) -> AsyncGenerator[bytes, None]:
        """The answer to `body` as events, encoded, that the chunks of a completion make."""

    def wrong(self, refused: Refused) -> bytes:
        """An event that says what went wrong."""


class ChatDialect:
    """Chat completions, as they are."""

    path: str | None = "/chat/completions"

    def to_chat(self, body: Json) -> Json:
        """The body itself."""
        return body

    def from_chat(self, completion: Json, body: Json) -> Json:
        """The completion itself."""
        return completion

    async def events(self, chunks: AsyncGenerator[Json, None], body: Json) -> AsyncGenerator[bytes, None]:
        """The chunks, and the mark of the end."""
        async with aclosing(chunks):
            async for chunk in chunks:
                yield b"data: " + encoded(chunk) + b"\n\n"
        yield b"data: [DONE]\n\n"

    def wrong(self, refused: Refused) -> bytes:
        """The error object as an event, which OpenAI's clients raise."""
        return b"data: " + encoded(refused.body()) + b"\n\n"
