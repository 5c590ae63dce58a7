"""Kills servers at random moments, again and again."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Mapping
from statistics import quantiles

from reagent_benchmarks.chaos.servers import Kill, Server

_TERM_SHARE = 0.25
"""Share of ends by SIGTERM, after which a server finishes what it has; the others are SIGKILL."""
_TWICE_SHARE = 0.15
"""Share of kills that are followed by another one while the server starts again."""


async def storm(server: Server, every: float, draw: random.Random) -> None:
    """Kills a server until cancelled.

    Args:
        server: the victim.
        every: mean of the exponentially distributed seconds from the moment it is ready to the next kill.
        draw: randomness, its own for each victim.
    """
    while True:
        await server.up.wait()
        await asyncio.sleep(draw.expovariate(1 / every))
        server.kill(signal.SIGTERM if draw.random() < _TERM_SHARE else signal.SIGKILL)
        if draw.random() < _TWICE_SHARE:
            await asyncio.sleep(draw.uniform(0.1, 1.5))
            if not server.up.is_set():
                server.kill(signal.SIGKILL)


def spread(seconds: list[float]) -> Mapping[str, float] | None:
    """Median, 95th percentile and maximum; None of nothing."""
    if not seconds:
        return None
    cuts = quantiles(seconds, n=20, method="inclusive") if len(seconds) > 1 else seconds * 19
    return {"p50": cuts[9], "p95": cuts[18], "max": max(seconds)}


def recoveries(kills: list[Kill], good: list[float]) -> tuple[list[float], list[float]]:
    """Seconds from each kill until the server was ready again, and until a verdict with a score was heard again.

    Args:
        kills: forced ends.
        good: when verdicts with scores were heard, ascending; after it was back, since until then they may be older.
    """
    ready, scored = [], []
    for kill in kills:
        if kill.back is None:
            continue
        ready.append(kill.back - kill.at)
        heard = next((at for at in good if at >= kill.back), None)
        if heard is not None:
            scored.append(heard - kill.at)
    return ready, scored
