"""A model that one of the SDK's clients calls, as the upstream: any provider that litellm knows, or weights here."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Mapping
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from reagent_adapters.proxy.chunks import chunks_of
from reagent_adapters.proxy.refusals import refusal_for
from reagent_adapters.proxy.upstream import Json, Origin
from reagent_sdk.clients.base import ChatClient, Completion, Sampling, runs_here
from reagent_sdk.errors import BudgetExceeded, ReagentError
from reagent_sdk.messages import from_openai
from reagent_sdk.secrets import Secret, redact
from reagent_sdk.specs import LOCAL_MAX_TOKENS

if TYPE_CHECKING:
    from starlette.types import Send

    from reagent_sdk.serving.log import EventLog

_SAMPLED = ("temperature", "top_p", "max_tokens", "seed")
_KNOWN = {
    *("audio", "frequency_penalty", "function_call", "functions", "logit_bias", "logprobs", "modalities"),
    *("parallel_tool_calls", "prediction", "presence_penalty", "reasoning_effort", "response_format"),
    *("safety_identifier", "service_tier", "store", "thinking", "tool_choice", "tools", "top_logprobs", "user"),
    *("verbosity", "web_search_options"),
}
"""Fields that litellm takes as arguments. Among its others are addresses, keys and files, not for callers to set."""

_NOT_SENT = {"model", "messages", "stop", "max_completion_tokens", *_SAMPLED}


class ClientUpstream:
    """One model, whatever name a request calls it by.

    Args:
        client: what calls it; closed together with this.
        model: the name that callers see.
        log: where its failures are told; callers do not see addresses.
    """

    def __init__(self, client: ChatClient, model: str, log: EventLog) -> None:
        self._client = client
        self._model = model
        self._log = log

    @property
    def name(self) -> str:
        """The client's name."""
        return self._client.name

    async def complete(self, body: Mapping[str, Any], origin: Origin, *, live: bool) -> Json:
        """One chat completion; see `Upstream`. Models of this process emit their text as they write it anyhow."""
        try:
            messages, sampling = from_openai(body["messages"]), self._sampling(body, origin.key)
            return self._as_json(await self._client.complete(messages, sampling))
        except BudgetExceeded:
            raise
        except ReagentError as error:
            own = Secret(origin.key) if origin.key else None
            self._log.write(
                "upstream_error", id=origin.account.request_id, said=redact(str(error), *filter(None, [own]))
            )
            refused = refusal_for(error, own_key=own)
            raise (refused or error) from None

    async def stream(self, body: Mapping[str, Any], origin: Origin) -> AsyncGenerator[Json, None]:
        """The reply in one piece; see `Upstream`."""
        given = {name: value for name, value in body.items() if name not in ("stream", "stream_options")}
        reply = await self.complete(given, origin, live=False)
        for chunk in chunks_of(reply, 0):
            yield chunk
        if reply.get("usage"):
            frame = {name: reply[name] for name in ("id", "created", "model")}
            yield {**frame, "object": "chat.completion.chunk", "choices": [], "usage": reply["usage"]}

    async def pass_on(self, path: str, body: Mapping[str, Any], origin: Origin, send: Send) -> bool:
        """Takes no requests as they are."""
        return False

    async def models(self, origin: Origin) -> list[Json]:
        """The one model."""
        return [{"id": self._model, "object": "model", "created": 0, "owned_by": "upstream"}]

    async def reachable(self) -> str:
        """Nobody knows before it is called."""
        return ""

    async def aclose(self) -> None:
        """Closes the client."""
        await self._client.aclose()

    def _sampling(self, body: Mapping[str, Any], key: str | None) -> Sampling:
        given = {name: body[name] for name in _SAMPLED if body.get(name) is not None}
        longest = body.get("max_completion_tokens")
        if longest is not None:
            given["max_tokens"] = longest
        elif runs_here(self._client):
            given.setdefault("max_tokens", LOCAL_MAX_TOKENS)  # small models do not always find an end
        stop = body.get("stop")
        given["stop"] = (stop,) if isinstance(stop, str) else tuple(stop or ())
        extra = {name: value for name, value in body.items() if name not in _NOT_SENT and value is not None}
        if not runs_here(self._client):
            extra = _for_litellm(extra, key)
        return Sampling(**given, extra=extra)

    def _as_json(self, reply: Completion) -> Json:
        used = reply.usage
        completion: Json = {
            "id": f"chatcmpl-{uuid4().hex}",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": reply.model or self._model,
            "choices": [{"index": 0, "message": reply.message.to_openai(), "finish_reason": reply.finish_reason}],
        }
        if not used.unmetered_calls:
            completion["usage"] = {
                "prompt_tokens": used.prompt_tokens,
                "completion_tokens": used.completion_tokens,
                "total_tokens": used.known_tokens,
                "prompt_tokens_details": {"cached_tokens": used.cached_tokens},
            }
        return completion


def _for_litellm(fields: Mapping[str, Any], key: str | None) -> Json:
    """The fields as arguments of litellm: those that nobody knows travel in the body of its request to the provider."""
    known = {name: value for name, value in fields.items() if name in _KNOWN}
    other = {name: value for name, value in fields.items() if name not in _KNOWN}
    return known | ({"extra_body": other} if other else {}) | ({"api_key": Secret(key)} if key else {})
