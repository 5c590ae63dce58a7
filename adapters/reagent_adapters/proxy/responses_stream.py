"""Chat chunks as the events of a Responses stream."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from typing import Any, TypeAlias

from reagent_adapters.proxy.responses_items import logprobs_of, reasoning_of
from reagent_adapters.proxy.responses_object import ended, envelope
from reagent_adapters.proxy.responses_writing import Writing
from reagent_adapters.proxy.upstream import Json
from reagent_sdk.serving.answers import Refused

Event: TypeAlias = tuple[str, Json]
"""Its name and its data, which holds the name once more as `type`."""

_ERROR_CODES = {429: "rate_limit_exceeded", 400: "invalid_prompt"}


def as_refused(error: Exception) -> Refused | None:
    """A refusal as it is, None for anything else."""
    return error if isinstance(error, Refused) else None


async def as_events(
    chunks: AsyncIterator[Json],
    body: Mapping[str, Any],
    *,
    refusal_for: Callable[[Exception], Refused | None] = as_refused,
) -> AsyncGenerator[Event, None]:
    """The events of a stream.

    The first chunk is awaited before the first event: what fails until then can still become an answer with a status
    of its own. What fails later becomes `response.failed`, and is raised after it.

    A chunk whose field `reagent` comes without an end becomes `response.reagent`; the report that comes with the end is
    the field `reagent` of the last event's response.

    Args:
        chunks: a streamed completion. It is closed with this stream, where it can be.
        body: the request to `/v1/responses`.
        refusal_for: what callers are told about an error; without an answer, that the server failed.

    Raises:
        Exception: what `chunks` raised.
        Refused: 502, when they hold nothing, or end before the answer does.
    """
    stream = _Stream(body)
    try:
        async for chunk in chunks:
            for event in stream.add(chunk):
                yield event
        if not stream.finished:
            raise Refused(502, "the upstream's answer broke off")
    except Exception as error:
        if stream.begun:
            for event in stream.fail(refusal_for(error) or Refused(500, "the server failed on this request")):
                yield event
        raise
    finally:
        close = getattr(chunks, "aclose", None)
        if close is not None:
            await close()
    for event in stream.end():
        yield event


class _Stream:
    """The state of one stream.

    Attributes:
        begun: whether there were events.
    """

    def __init__(self, body: Mapping[str, Any]) -> None:
        self.begun = False
        self._body = body
        self._count = 0
        self._response: Json = {}
        self._writing = Writing()
        self._finish: str | None = None
        self._usage: object = None
        self._report: object = None

    @property
    def finished(self) -> bool:
        """Whether the chat said why it ended."""
        return self._finish is not None

    def add(self, chunk: Json) -> Iterator[Event]:
        """The events of the next chunk."""
        if chunk.get("error") and not chunk.get("choices"):
            raise Refused(502, "the upstream failed in the middle of its answer")
        if not self.begun:
            self.begun = True
            self._response = envelope(self._body, chunk)
            yield self._event("response.created", response=dict(self._response))
            yield self._event("response.in_progress", response=dict(self._response))
        self._usage = chunk.get("usage") or self._usage
        choices = [choice for choice in chunk.get("choices") or () if choice.get("index") in (None, 0)]
        choice = choices[0] if choices else {}
        for name, fields in self._written(choice):
            yield self._event(name, **fields)
        self._finish = choice.get("finish_reason") or self._finish
        told = chunk.get("reagent")
        if told is not None and choice.get("finish_reason"):
            self._report = told
        elif told is not None:
            yield self._event("response.reagent", reagent=told)

    def end(self) -> Iterator[Event]:
        """The events of the end."""
        response = ended(self._response, self._finish, self._usage, self._report)
        for name, fields in self._writing.close_all(response["status"]):
            yield self._event(name, **fields)
        response["output"] = self._writing.items
        yield self._event(f"response.{response['status']}", response=response)

    def fail(self, refused: Refused) -> Iterator[Event]:
        """The events of an end that should not be."""
        for name, fields in self._writing.close_all("incomplete"):
            yield self._event(name, **fields)
        error = {"code": _ERROR_CODES.get(refused.status, "server_error"), "message": refused.message}
        self._response |= {"status": "failed", "error": error, "output": self._writing.items}
        yield self._event("response.failed", response=self._response)

    def _written(self, choice: Mapping[str, Any]) -> Iterator[Event]:
        delta = choice.get("delta") or {}
        reasoning, text, refusal = reasoning_of(delta), delta.get("content"), delta.get("refusal")
        if reasoning:
            yield from self._writing.reason(reasoning)
        if isinstance(text, str) and text:
            yield from self._writing.text(text, logprobs_of(choice))
        if isinstance(refusal, str) and refusal:
            yield from self._writing.refuse(refusal)
        for part in delta.get("tool_calls") or ():
            yield from self._writing.call(part)

    def _event(self, name: str, /, **fields: Any) -> Event:
        event = {"type": name, "sequence_number": self._count, **fields}
        self._count += 1
        return name, event
