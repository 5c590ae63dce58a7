"""What work cost: calls, tokens, money, seconds, and how much of it nobody told us."""

from __future__ import annotations

from pydantic import Field

from reagent_sdk.frozen import Frozen


class Usage(Frozen):
    """Resources used by one call, an attempt, a verdict or a run.

    A price or a token count that is not known is counted as unknown and never as 0: `cost_usd` and `total_tokens` are
    None as soon as one call lacks theirs, while `priced_usd` and the token fields hold what is known.
    """

    calls: int = Field(0, ge=0, description="model calls, or agent calls where the agent reports none of its own")
    retries: int = Field(0, ge=0, description="requests sent again after a failure; not counted as calls")
    prompt_tokens: int = Field(0, ge=0)
    completion_tokens: int = Field(0, ge=0)
    cached_tokens: int = Field(0, ge=0, description="prompt tokens served from a prefix cache")
    priced_usd: float = Field(0.0, ge=0, description="cost of the calls whose price is known, in US dollars")
    unpriced_calls: int = Field(0, ge=0, description="calls without a known price")
    unmetered_calls: int = Field(0, ge=0, description="calls that reported no token counts")
    seconds: float = Field(0.0, ge=0, description="time spent inside the calls, summed")

    @property
    def cost_usd(self) -> float | None:
        """Cost in US dollars, or None when any call has no known price."""
        return None if self.unpriced_calls else self.priced_usd

    @property
    def total_tokens(self) -> int | None:
        """Prompt and completion tokens, or None when any call reported none."""
        return None if self.unmetered_calls else self.known_tokens

    @property
    def known_tokens(self) -> int:
        """Prompt and completion tokens of the calls that reported them."""
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage.model_construct(**{k: getattr(self, k) + getattr(other, k) for k in Usage.model_fields})

    def __sub__(self, earlier: Usage) -> Usage:
        """What was used since `earlier`, a snapshot of the same counter."""
        return Usage(**{k: max(0, getattr(self, k) - getattr(earlier, k)) for k in Usage.model_fields})

    def __str__(self) -> str:
        tokens = f"{self.known_tokens}{'+?' if self.unmetered_calls else ''} tokens"
        cost = "cost unknown" if self.cost_usd is None else f"${self.cost_usd:.4f}"
        return f"{self.calls} calls, {tokens}, {cost}"
