"""A direct client for OpenAI-compatible endpoints: vLLM, llama.cpp, a judge server.

It adds no layer between us and the reply. A judge's verdict must arrive as the model wrote it, and general-purpose
clients move `<think>` blocks elsewhere.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from reagent_sdk.clients.base import Completion, MeteredCall, Sampling
from reagent_sdk.clients.endpoints import Endpoint
from reagent_sdk.clients.exchange import Exchange
from reagent_sdk.clients.links import connect, disconnect
from reagent_sdk.clients.loops import PerLoop
from reagent_sdk.clients.replies import Price, completion_from
from reagent_sdk.clients.retry import CountsRetries, Retry
from reagent_sdk.clients.served import Served
from reagent_sdk.errors import BadReply, InvalidInput, ModelRejected
from reagent_sdk.messages import Message, to_openai


class OpenAICompatible:
    """A chat model behind an OpenAI-compatible HTTP endpoint.

    One client can be used from any number of tasks, threads and event loops. Connections are closed when the loop that
    made them ends, or by `aclose`; a closed client connects again when it is used again.

    The key is `api_key` or `$REAGENT_API_KEY`, sent to this `base_url` only; redirects are not followed. The key that
    `$OPENAI_API_KEY` holds is deliberately not used: an address that somebody configured must not receive a key that
    was meant for another company. Proxies named in the environment are not used either.

    Args:
        base_url: the part before `/chat/completions`, such as `http://127.0.0.1:8000/v1`; may hold `user:password@`.
        model: name of the model; None takes the first that the server lists.
        api_key: key to send; the empty text sends none, whatever the environment says.
        timeout: seconds for one request, from connecting to the last byte.
        max_attempts: requests in all when the server is unavailable; see `Retry`.
        price: US dollars per million prompt and per million completion tokens; without it calls count as unpriced.
        max_reply_bytes: longest reply that is read.

    Raises:
        InvalidInput: an argument cannot work.
    """

    def __init__(
        self,
        base_url: str,
        model: str | None = None,
        *,
        api_key: str | None = None,
        timeout: float = 120.0,
        max_attempts: int = 3,
        price: Price | None = None,
        max_reply_bytes: int = 8 * 2**20,
    ) -> None:
        if not (math.isfinite(timeout) and timeout > 0):
            raise InvalidInput(f"timeout is {timeout}; pass seconds greater than 0")
        if max_reply_bytes < 1:
            raise InvalidInput(f"max_reply_bytes is {max_reply_bytes}; pass a number of bytes greater than 0")
        if price is not None and not (len(price) == 2 and all(math.isfinite(usd) and usd >= 0 for usd in price)):
            raise InvalidInput("price is not (usd per million prompt tokens, usd per million completion tokens)")
        self.retry = Retry(attempts=max_attempts)
        self._endpoint = Endpoint.of(base_url, api_key)
        self._model = model
        self._price = price
        self._served: Served | None = None
        self._exchange = Exchange(self._endpoint, self.name, max_reply_bytes)
        self._links = PerLoop(functools.partial(connect, timeout), disconnect)

    @property
    def name(self) -> str:
        """The model, where one was named, and the address; never a key."""
        return f"{self._model} at {self._endpoint.url}" if self._model else self._endpoint.url

    def __repr__(self) -> str:
        return f"OpenAICompatible({self._endpoint.url!r}, model={self._model!r})"

    async def complete(self, messages: Sequence[Message], sampling: Sampling) -> Completion:
        """Completes a conversation.

        Args:
            messages: the conversation so far.
            sampling: how to sample; `extra` holds further request fields, such as `tools`, and wins over the others.

        Raises:
            BudgetExceeded: the run's budget does not allow another call; none was made.
            ModelUnavailable: the server could not be reached or kept failing.
            ModelRejected: the server refused the request; `ContextOverflow` when the prompt is too long.
            BadReply: the answer is not a chat completion.
            InvalidInput: a request field cannot be sent.
        """
        fields = _fields(messages, sampling)
        async with MeteredCall(self.name) as call:
            served = await self._find_model(call, dialect=sampling.grammar is not None)
            grammar = served.grammar_fields(sampling.grammar) if sampling.grammar else {}
            payload = _encode({"model": served.model, **grammar, **fields})

            async def send() -> Completion:
                link = await self._links.get()
                body = await self._exchange.post(link.session, "/chat/completions", payload)
                with self._named():
                    return completion_from(body, price=self._price)

            completion = await self.retry.run(send, call=call, model=self.name)
            call.used(completion.usage)
            return completion.model_copy(update={"usage": call.usage})

    async def hosted_judge(self) -> Mapping[str, Any]:
        """How the judge behind this endpoint wants to be asked, where `reagent judge serve` hosts it; else empty.

        Raises:
            ModelError: the server could not be asked.
        """
        try:
            served = await self._find_model(_Uncounted(), dialect=True)
        except (ModelRejected, BadReply):
            return {}  # a server need not list its models
        return served.judge

    async def _find_model(self, call: CountsRetries, *, dialect: bool) -> Served:
        """What the server serves, asked once and only when it matters."""
        if self._served is None and self._model is not None and not dialect:
            return Served(self._model)
        link = await self._links.get()
        async with link.lock:
            if self._served is None:
                try:
                    listed = await self.retry.run(self._list_models, call=call, model=self.name)
                except (ModelRejected, BadReply):
                    if self._model is None:
                        raise
                    listed = {}  # a server need not list its models
                with self._named():
                    self._served = Served.pick(listed, self._model)
            return self._served

    async def _list_models(self) -> dict[str, Any]:
        link = await self._links.get()
        return await self._exchange.get(link.session, "/models")

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Says in a `BadReply` whose reply it was."""
        try:
            yield
        except BadReply as error:
            raise BadReply(f"{self.name}: {error}", model=self.name, status=200) from None

    async def aclose(self) -> None:
        """Closes the connections. Idempotent."""
        await self._links.aclose()


class _Uncounted:
    """Takes the retries of a request that is no call of a model."""

    def retried(self) -> None:
        """Counts nothing."""


def _fields(messages: Sequence[Message], sampling: Sampling) -> dict[str, Any]:
    if sampling.extra.get("stream"):
        raise InvalidInput("sampling.extra asks for a stream, and this client reads whole replies; leave it out")
    return {"messages": to_openai(messages), **sampling.request_fields(), **sampling.extra}


def _encode(request: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(request, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(f"the request cannot be written as JSON ({error}); check sampling.extra") from None
