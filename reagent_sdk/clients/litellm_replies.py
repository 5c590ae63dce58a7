"""Reads what litellm makes of a reply."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from reagent_sdk.clients.base import Completion
from reagent_sdk.clients.replies import completion_from


def completion_of(litellm: Any, response: Any, model: str) -> Completion:
    """Reads a `ModelResponse`, with its cost where litellm knows the model's price.

    Raises:
        BadReply: it is not a chat completion.
    """
    # Without serialisation warnings: litellm's own types do not match what it puts in them.
    body = response.model_dump(warnings=False)
    for choice in body.get("choices") or []:
        choice["message"] = _without_blanks(choice.get("message") or {})
    completion = completion_from(body)
    usage, told = completion.usage, dict[str, float]()
    if not usage.known_tokens:
        # litellm reports 0 tokens where the server reported none.
        told = {"unmetered_calls": 1, "unpriced_calls": 1}
    elif (cost := _cost(litellm, response, model)) is not None:
        told = {"priced_usd": cost, "unpriced_calls": 0}
    return completion.model_copy(update={"usage": usage.model_copy(update=told)})


def _without_blanks(message: Mapping[str, Any]) -> dict[str, Any]:
    """A message without the empty fields that litellm adds, which servers may refuse when it is sent back."""
    kept = {name: value for name, value in message.items() if name == "content" or value is not None}
    fields = kept.get("provider_specific_fields")
    if isinstance(fields, Mapping) and not any(value is not None for value in fields.values()):
        del kept["provider_specific_fields"]
    return kept


def _cost(litellm: Any, response: Any, model: str) -> float | None:
    """What the call cost in US dollars; None when litellm does not know the model's price."""
    try:
        cost = litellm.completion_cost(completion_response=response, model=model)
    except Exception:  # an unknown price is no error, and litellm has no class of its own for it
        return None
    return float(cost) if isinstance(cost, int | float) and math.isfinite(cost) and cost >= 0 else None
