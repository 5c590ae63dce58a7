"""One call to a chat model, whoever serves it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Literal, Protocol, Self, runtime_checkable

from pydantic import Field

from reagent_sdk import scope, telemetry
from reagent_sdk.frozen import Frozen, Settings
from reagent_sdk.grading import Alternatives
from reagent_sdk.messages import Message
from reagent_sdk.usage import Usage


class Sampling(Settings):
    """How a completion is sampled. None leaves the choice to the server."""

    temperature: float | None = Field(None, ge=0)
    top_p: float | None = Field(None, gt=0, le=1)
    max_tokens: int | None = Field(None, ge=1)
    seed: int | None = None
    top_logprobs: int | None = Field(
        None, ge=1, le=20, description="likeliest tokens to report at each place of the reply, where the server can"
    )
    stop: tuple[str, ...] = ()
    grammar: str | None = Field(
        None, description="GBNF grammar of the whole reply, applied where the server can; replies are validated anyway"
    )
    extra: dict[str, Any] = Field(default_factory=dict, description="further request fields, sent as they are")

    def request_fields(self) -> dict[str, Any]:
        """The fields that are set and that every chat server knows; `grammar` and `extra` are not among them."""
        given = self.model_dump(include={"temperature", "top_p", "max_tokens", "seed"}, exclude_none=True)
        if self.top_logprobs is not None:
            given |= {"logprobs": True, "top_logprobs": self.top_logprobs}
        return {**given, "stop": list(self.stop)} if self.stop else given


class Completion(Frozen):
    """A model's reply."""

    message: Message
    finish_reason: Literal["stop", "length", "tool_calls", "content_filter"] | str = "stop"
    usage: Usage = Usage()
    model: str = Field("", description="the model as the server names it")
    alternatives: tuple[Alternatives, ...] = Field(
        (), description="the reply's tokens in order, where they were asked for (`Sampling.top_logprobs`) and given"
    )

    @property
    def text(self) -> str:
        """Text of the reply."""
        return self.message.text

    @property
    def truncated(self) -> bool:
        """Whether a token limit cut the reply off."""
        return self.finish_reason == "length"


@runtime_checkable
class ChatClient(Protocol):
    """A chat model. Implementations admit and charge each call on the current scope's meter (see `MeteredCall`)."""

    @property
    def name(self) -> str:
        """What is called, for people to read; never holds a key."""

    async def complete(self, messages: Sequence[Message], sampling: Sampling) -> Completion:
        """Completes a conversation.

        Raises:
            BudgetExceeded: the run's budget does not allow another call; none was made.
            ModelError: the call failed; see `errors` for the kinds.
        """

    async def aclose(self) -> None:
        """Frees connections and, for local models, memory. Idempotent."""


def runs_here(client: ChatClient) -> bool:
    """Whether the client runs weights in this process, as its name says: small models, mostly, and no tool template."""
    return client.name.startswith(("local:", "hf:"))


class MeteredCall(AbstractAsyncContextManager["MeteredCall"]):
    """Admits one call on the current meter and charges what it used, also when it fails or is cancelled.

    Args:
        model: what is called, for telemetry.

    Example:
        async with MeteredCall("qwen3-8b") as call:
            call.used(Usage(prompt_tokens=12, completion_tokens=3))
    """

    def __init__(self, model: str = "model") -> None:
        about = {"gen_ai.operation.name": "chat", "gen_ai.request.model": model, "llm.model_name": model}
        self._span = telemetry.span(f"chat {model}", "LLM", about)
        self._scope = scope.current()
        self._usage: Usage | None = None
        self._retries = 0
        self._started = 0.0

    async def __aenter__(self) -> Self:
        self._scope.meter.admit()
        self._told = self._span.__enter__()
        self._started = time.monotonic()
        return self

    def used(self, usage: Usage) -> None:
        """Reports what the call used; without a report it counts as unpriced and unmetered."""
        self._usage = usage

    def retried(self) -> None:
        """Counts one request that was sent again."""
        self._retries += 1

    @property
    def usage(self) -> Usage:
        """The call's usage so far, one call included."""
        known = self._usage or Usage(unpriced_calls=1, unmetered_calls=1)
        return known.model_copy(
            update={"calls": 1, "retries": self._retries, "seconds": time.monotonic() - self._started}
        )

    async def __aexit__(self, *raised: Any) -> None:
        usage = self.usage
        self._scope.meter.charge(usage.model_copy(update={"calls": 0}))
        self._told.usage(usage)
        self._span.__exit__(*raised)
