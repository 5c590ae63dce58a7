"""Speech to text by a transcription endpoint, called through litellm."""

from __future__ import annotations

import functools
import math
from typing import Any

from reagent_sdk.clients.base import MeteredCall
from reagent_sdk.clients.litellm_errors import model_error
from reagent_sdk.clients.litellm_loading import key_names, load_litellm
from reagent_sdk.clients.litellm_pools import POOLS
from reagent_sdk.clients.retry import Retry
from reagent_sdk.errors import BadReply, InvalidInput
from reagent_sdk.secrets import Secret, redact
from reagent_sdk.usage import Usage


class LiteLLMTranscriber:
    """A speech-to-text model of any provider that litellm knows.

    Args:
        model: provider and model in litellm's notation, such as "openai/whisper-1".
        api_key: key of the provider; by default the provider's own variable.
        api_base: address of the provider, for those that have several.
        timeout: seconds for one request.
        max_attempts: requests in all when the model is unavailable.

    Raises:
        InvalidInput: the model's name is empty.
    """

    def __init__(
        self,
        model: str,
        *,
        api_key: str | None = None,
        api_base: str | None = None,
        timeout: float = 120.0,
        max_attempts: int = 3,
    ) -> None:
        if not model.strip():
            raise InvalidInput("model is empty; pass a litellm name such as 'openai/whisper-1'")
        self.retry = Retry(attempts=max_attempts)
        self._model = model
        self._api_key = Secret(api_key) if api_key else None
        self._api_base = api_base
        self._timeout = timeout

    @property
    def name(self) -> str:
        """The model, and the address where one was given; never a key."""
        return redact(f"{self._model} at {self._api_base}" if self._api_base else self._model, self._api_key)

    def __repr__(self) -> str:
        return f"LiteLLMTranscriber({self.name!r})"

    async def __call__(self, recording: bytes) -> str:
        """What is said in a recording, a wav file.

        Raises:
            BudgetExceeded: the run's budget does not allow another call; none was made.
            ModelError: the call failed; see `errors` for the kinds.
        """
        async with MeteredCall() as call:
            litellm = await load_litellm()
            await POOLS.get()  # has this loop tidied up when it ends
            send = functools.partial(self._send, litellm, recording)
            response = await self.retry.run(send, call=call, model=self.name)
            call.used(_usage(litellm, response, self._model))
            if not isinstance(response.text, str):
                raise BadReply(f"{self.name}: the reply holds no text", model=self.name, status=200)
            return response.text

    async def _send(self, litellm: Any, recording: bytes) -> Any:
        key = {"api_key": self._api_key.reveal()} if self._api_key else {}
        base = {"api_base": self._api_base} if self._api_base else {}
        try:
            return await litellm.atranscription(
                model=self._model,
                file=("recording.wav", recording, "audio/wav"),
                timeout=self._timeout,
                max_retries=0,
                **key,
                **base,
            )
        except Exception as error:  # translated, never swallowed: litellm raises whatever its providers' code raises
            secrets = (self._api_key,) if self._api_key else ()
            missing = functools.partial(key_names, self._model)
            said = model_error(error, model=self.name, secrets=secrets, missing=missing, keyless=self._api_key is None)
            # The original is not chained: its text is the server's, unredacted.
            raise said from None


def _usage(litellm: Any, response: Any, model: str) -> Usage:
    """Transcription is priced by the second, and has no tokens to count."""
    try:
        cost = litellm.completion_cost(completion_response=response, model=model, call_type="atranscription")
    except Exception:  # an unknown price is no error, and litellm has no class of its own for it
        cost = None
    if isinstance(cost, int | float) and math.isfinite(cost) and cost > 0:
        return Usage(priced_usd=float(cost), unmetered_calls=1)
    return Usage(unpriced_calls=1, unmetered_calls=1)
