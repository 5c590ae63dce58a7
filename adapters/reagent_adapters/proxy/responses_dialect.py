"""The Responses API as a dialect of the proxy."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from reagent_adapters.proxy.refusals import refusal_for
from reagent_adapters.proxy.responses import as_events, from_chat, to_chat
from reagent_adapters.proxy.sse import encoded
from reagent_adapters.proxy.upstream import Json
from reagent_sdk.serving.answers import Refused


class ResponsesDialect:
    """Responses, which the upstream never sees: it is asked for chat completions, also by bare requests."""

    path: str | None = None

    def to_chat(self, body: Json) -> Json:
        """The request as one for a chat completion.

        Raises:
            Refused: 400, when it cannot be.
        """
        return to_chat(body)

    def from_chat(self, completion: Json, body: Json) -> Json:
        """The response that a completion makes."""
        return from_chat(completion, body)

    async def events(self, chunks: AsyncGenerator[Json, None], body: Json) -> AsyncGenerator[bytes, None]:
        """The events of the response. There is no mark of the end besides the last one."""
        async with aclosing(as_events(chunks, body, refusal_for=refusal_for)) as events:
            async for name, data in events:
                yield f"event: {name}\ndata: ".encode() + encoded(data) + b"\n\n"

    def wrong(self, refused: Refused) -> bytes:
        """An event that says what went wrong: as documented, and with the object that OpenAI's clients raise."""
        error = refused.body()["error"]
        told = {name: error.get(name) for name in ("code", "message", "param")}
        return b"event: error\ndata: " + encoded({"type": "error", **told, "error": error}) + b"\n\n"
