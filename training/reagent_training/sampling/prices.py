"""What tokens of a model cost, as far as litellm knows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from reagent_sdk.clients.base import ChatClient
from reagent_sdk.clients.litellm_client import LiteLLM
from reagent_sdk.errors import InvalidInput


class Price(NamedTuple):
    """US dollars for a prompt token and for a completion token."""

    prompt: float
    completion: float

    def of(self, prompt_tokens: int, completion_tokens: int) -> float:
        """What so many tokens cost, in US dollars."""
        return self.prompt * prompt_tokens + self.completion * completion_tokens


async def price_of(spec: str, client: ChatClient) -> Price | None:
    """What a model costs; None where nobody knows.

    Args:
        spec: of the model.
        client: the client that the spec names.
    """
    if not isinstance(client, LiteLLM):
        return None
    from reagent_sdk.clients.litellm_loading import load_litellm

    litellm: Any = await load_litellm()
    try:
        prompt, completion = litellm.cost_per_token(model=spec, prompt_tokens=1, completion_tokens=1)
    except Exception:  # an unknown price is no error, and litellm has no class of its own for it
        return None
    return Price(float(prompt), float(completion)) if prompt or completion else None


async def check_dollars(usd: float | None, clients: Sequence[tuple[str, ChatClient]]) -> None:
    """Checks that a limit in dollars can be kept: calls of unknown price do not count towards it.

    Raises:
        InvalidInput: the price of a model is unknown.
    """
    if usd is None:
        return
    for spec, client in clients:
        if await price_of(spec, client) is None:
            raise InvalidInput(
                f"nobody knows what {spec} costs, so --budget-usd could not be kept; pass --budget-tokens instead"
            )
