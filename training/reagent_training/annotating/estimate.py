"""What annotating will cost, before anything is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import ceil

from reagent_sdk.clients.base import ChatClient
from reagent_sdk.clients.litellm_client import LiteLLM
from reagent_sdk.frozen import Frozen
from reagent_sdk.judges.model import JudgeSettings
from reagent_sdk.messages import Message
from reagent_training.sampling.prices import price_of

REVIEW_TOKENS = 250
"""A review within the verdict's shape: three or four lines, a critique, a score and their tags."""

_CHARS_A_TOKEN = 3.5
"""Of rendered prompts, by the tokenizer of GPT-4o: 3.4 for mathematics to 4.1 for searches."""
_TOKENS_A_MESSAGE = 4
_ASKED_AGAIN = 700
"""Tokens of the reply that is shown again, up to 2,000 characters, and of the request to write it anew."""


class Estimate(Frozen):
    """What the rows that are left will take.

    Attributes:
        rows: to be annotated.
        prompt_tokens: of their prompts, each asked once.
        completion_tokens: of replies of the usual length; a model that reasons first writes more.
        most_tokens: prompts and replies when every one is asked for twice and fills its limit.
        usd: US dollars for prompts and usual replies; None where nobody knows the price.
        most_usd: the same for `most_tokens`.
        counted: how tokens were counted.
    """

    rows: int
    prompt_tokens: int
    completion_tokens: int
    most_tokens: int
    usd: float | None
    most_usd: float | None
    counted: str


async def estimated(
    prompts: Iterable[Sequence[Message]], spec: str, client: ChatClient, settings: JudgeSettings
) -> Estimate:
    """Counts what rendered prompts take.

    Args:
        prompts: one for each row, as they will be sent.
        spec: of the teacher.
        client: the teacher.
        settings: how it is asked.
    """
    count, how = await _counter(client)
    sizes = [sum(count(message.text) + _TOKENS_A_MESSAGE for message in messages) for messages in prompts]
    rows, prompt = len(sizes), sum(sizes)
    limit, asks = settings.sampling.max_tokens or 0, 1 + settings.reasks
    most_prompt = asks * prompt + settings.reasks * rows * _ASKED_AGAIN
    most_reply = rows * sum(limit * 2**ask for ask in range(asks))  # one that is cut off gets twice the room
    price = await price_of(spec, client)
    return Estimate(
        rows=rows,
        prompt_tokens=prompt,
        completion_tokens=rows * REVIEW_TOKENS,
        most_tokens=most_prompt + most_reply,
        usd=None if price is None else round(price.of(prompt, rows * REVIEW_TOKENS), 6),
        most_usd=None if price is None else round(price.of(most_prompt, most_reply), 6),
        counted=how,
    )


async def _counter(client: ChatClient) -> tuple[Callable[[str], int], str]:
    """Counts tokens. With litellm by GPT-4o's tokenizer, which it ships: a model's own would be fetched from a hub."""
    if not isinstance(client, LiteLLM):
        return (lambda text: ceil(len(text) / _CHARS_A_TOKEN)), f"{_CHARS_A_TOKEN} characters a token"
    from reagent_sdk.clients.litellm_loading import load_litellm

    litellm = await load_litellm()
    return (lambda text: int(litellm.token_counter(model="gpt-4o", text=text))), "by the tokenizer of GPT-4o"
