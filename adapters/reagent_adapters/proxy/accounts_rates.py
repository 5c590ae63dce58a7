"""Requests and tokens a minute, by the `limits` library."""

from __future__ import annotations

import math
import time

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import FixedWindowRateLimiter, MovingWindowRateLimiter, RateLimiter

from reagent_adapters.proxy.accounts_limits import Limits
from reagent_sdk.serving.answers import Refused

_CODE = "rate_limit_exceeded"


class Rates:
    """The rates of one caller, in this process.

    Requests are counted over a moving window. What a request uses in tokens is known only afterwards, and has to be
    counted even where it passes the limit; the library's moving window drops such counts, and would keep an entry for
    every token. So tokens are counted over windows of 60 seconds that begin with the first token in them.

    Every caller has a storage of its own, because the library sweeps a whole storage at every hit.
    """

    def __init__(self) -> None:
        storage = MemoryStorage()
        self._requests = MovingWindowRateLimiter(storage)
        self._tokens = FixedWindowRateLimiter(storage)

    async def admit(self, limits: Limits) -> None:
        """Counts one request.

        Raises:
            Refused: 429, with the seconds until there is room.
        """
        if limits.tokens_per_minute is not None:
            tokens = RateLimitItemPerMinute(limits.tokens_per_minute)
            if not await self._tokens.test(tokens, "tokens"):
                raise await _refused(self._tokens, tokens, "tokens")
        if limits.requests_per_minute is not None:
            requests = RateLimitItemPerMinute(limits.requests_per_minute)
            if not await self._requests.hit(requests, "requests"):
                raise await _refused(self._requests, requests, "requests")

    async def count_tokens(self, limits: Limits, tokens: int) -> None:
        """Counts what a request used, also beyond the limit."""
        if limits.tokens_per_minute is not None and tokens:
            await self._tokens.hit(RateLimitItemPerMinute(limits.tokens_per_minute), "tokens", cost=tokens)

    async def headers(self, limits: Limits) -> list[tuple[bytes, bytes]]:
        """What is left, as OpenAI tells it: `x-ratelimit-limit-requests`, `-remaining-`, `-reset-`, and for tokens.

        A reset is the time until the first requests leave the window, or until the window of tokens ends.
        """
        told: list[tuple[bytes, bytes]] = []
        rates: list[tuple[str, int | None, RateLimiter]] = [
            ("requests", limits.requests_per_minute, self._requests),
            ("tokens", limits.tokens_per_minute, self._tokens),
        ]
        for what, amount, limiter in rates:
            if amount is not None:
                stats = await limiter.get_window_stats(RateLimitItemPerMinute(amount), what)
                reset = 0 if stats.remaining == amount else max(0, math.ceil(stats.reset_time - time.time()))
                for name, value in (("limit", amount), ("remaining", stats.remaining), ("reset", f"{reset}s")):
                    told.append((f"x-ratelimit-{name}-{what}".encode(), str(value).encode()))
        return told


async def _refused(limiter: RateLimiter, item: RateLimitItem, what: str) -> Refused:
    free = (await limiter.get_window_stats(item, what)).reset_time
    told = f"this key's limit of {item.amount} {what} a minute is reached; try again later"
    return Refused(429, told, retry_after=max(1.0, free - time.time()), code=_CODE)
