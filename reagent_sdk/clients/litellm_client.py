"""Any provider that litellm knows, without its cost before it is used."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

from reagent_sdk.clients.base import Completion, MeteredCall, Sampling
from reagent_sdk.clients.litellm_errors import model_error
from reagent_sdk.clients.litellm_loading import key_names, load_litellm
from reagent_sdk.clients.litellm_pools import POOLS
from reagent_sdk.clients.litellm_replies import completion_of
from reagent_sdk.clients.retry import Retry
from reagent_sdk.errors import BadReply, InvalidInput
from reagent_sdk.messages import Message, to_openai
from reagent_sdk.secrets import Secret, redact

_OURS = {"model", "messages", "stream", "num_retries", "max_retries", "acompletion"}
_SECRET_WORDS = ("key", "secret", "token", "password", "credential", "authorization")
_NOT_SECRET = {"max_tokens", "max_completion_tokens"}


class LiteLLM:
    """A chat model of any provider, called through litellm.

    litellm is imported on the first call, in a worker thread: it takes seconds. Where no key is given it looks for the
    provider's own variable, such as `$OPENAI_API_KEY`, also when `api_base` is set.

    litellm moves `<think>` blocks from the text into `reasoning_content`. A judge whose reply holds such blocks belongs
    behind `OpenAICompatible`. It also reads whole replies, however long, and takes no grammar.

    Args:
        model: provider and model in litellm's notation, such as "anthropic/claude-sonnet-4-5" or "openai/gpt-4o".
        api_key: key of the provider.
        api_base: address of the provider, for those that have several.
        timeout: seconds for one request.
        max_attempts: requests in all when the model is unavailable; see `Retry`.
        **params: further arguments of every `litellm.acompletion` call; what a call's sampling sets wins over them.

    Raises:
        InvalidInput: an argument cannot work.
    """

    def __init__(
        self,
        model: str,
        *,
        api_key: str | None = None,
        api_base: str | None = None,
        timeout: float = 120.0,
        max_attempts: int = 3,
        **params: Any,
    ) -> None:
        if not model.strip():
            raise InvalidInput("model is empty; pass a litellm name such as 'openai/gpt-4o'")
        if not (math.isfinite(timeout) and timeout > 0):
            raise InvalidInput(f"timeout is {timeout}; pass seconds greater than 0")
        if taken := _OURS & params.keys():
            raise InvalidInput(f"{', '.join(sorted(taken))} cannot be passed on to litellm: the client sets it itself")
        self.retry = Retry(attempts=max_attempts)
        self._litellm: Any = None
        self._model = model
        self._api_base = api_base
        self._api_key = Secret(api_key) if api_key else None
        self._timeout = timeout
        self._params = {name: _guarded(name, value) for name, value in params.items()}

    @property
    def name(self) -> str:
        """The model, and the address where one was given; never a key."""
        return redact(f"{self._model} at {self._api_base}" if self._api_base else self._model, *self._secrets)

    def __repr__(self) -> str:
        return f"LiteLLM({self.name!r})"

    async def complete(self, messages: Sequence[Message], sampling: Sampling) -> Completion:
        """Completes a conversation.

        Args:
            messages: the conversation so far.
            sampling: how to sample; `extra` holds further litellm arguments, such as `tools`, and wins over the others.

        Raises:
            BudgetExceeded: the run's budget does not allow another call; none was made.
            ModelUnavailable: the provider could not be reached or kept failing.
            ModelRejected: the request was refused, also for want of a key; `ContextOverflow` for too long a prompt.
            BadReply: the answer is not a chat completion.
            InvalidInput: `extra` asks for something that this client does itself.
        """
        request = self._request(messages, sampling)
        async with MeteredCall(self.name) as call:
            if self._litellm is None:
                self._litellm = await load_litellm()
            await POOLS.get()  # has this loop tidied up when it ends
            send = functools.partial(self._send, request)
            completion = await self.retry.run(send, call=call, model=self.name)
            call.used(completion.usage)
            return completion.model_copy(update={"usage": call.usage})

    async def aclose(self) -> None:
        """Does nothing: litellm shares its connections between all its users, so they close when their loop ends."""

    @property
    def _secrets(self) -> tuple[Secret, ...]:
        held = [self._api_key, *self._params.values()]
        nested = [inner for value in held if isinstance(value, Mapping) for inner in value.values()]
        return tuple(value for value in (*held, *nested) if isinstance(value, Secret))

    def _request(self, messages: Sequence[Message], sampling: Sampling) -> dict[str, Any]:
        if taken := _OURS & sampling.extra.keys():
            raise InvalidInput(f"sampling.extra holds {', '.join(sorted(taken))}, which the client sets itself")
        given = sampling.request_fields()
        return {"messages": to_openai(messages), "timeout": self._timeout, **self._params, **given, **sampling.extra}

    async def _send(self, request: Mapping[str, Any]) -> Completion:
        key = {"api_key": self._api_key.reveal()} if self._api_key else {}
        base = {"api_base": self._api_base} if self._api_base else {}
        try:
            response = await self._litellm.acompletion(
                model=self._model,
                **{name: _revealed(value) for name, value in request.items()},
                **key,
                **base,
                num_retries=0,
                max_retries=0,
                # With tools it would look for an MCP gateway, which needs a package that is not there.
                _skip_mcp_handler=True,
            )
        except Exception as error:  # translated, never swallowed: litellm raises whatever its providers' code raises
            keyless, missing = self._api_key is None, functools.partial(key_names, self._model)
            said = model_error(error, model=self.name, secrets=self._secrets, missing=missing, keyless=keyless)
            # The original is not chained: its text is the server's, unredacted.
            raise said from None
        try:
            return completion_of(self._litellm, response, self._model)
        except BadReply as error:
            raise BadReply(f"{self.name}: {error}", model=self.name, status=200) from None


def _guarded(name: str, value: Any) -> Any:
    """Wraps what looks like a key by its name, one level deep, as in `extra_headers`."""
    if isinstance(value, Mapping):
        return {inner: _guarded(str(inner), held) for inner, held in value.items()}
    secret = name not in _NOT_SECRET and any(word in name.lower() for word in _SECRET_WORDS)
    return Secret(value) if secret and isinstance(value, str) and value else value


def _revealed(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _revealed(inner) for name, inner in value.items()}
    return value.reveal() if isinstance(value, Secret) else value
