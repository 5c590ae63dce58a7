"""Many verdicts in flight."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import pytest

from reagent_sdk import Verdict
from reagent_sdk.clients.openai_compatible import OpenAICompatible

from .server import MODEL, VllmServer
from .work import judge_all

pytestmark = [pytest.mark.anyio, pytest.mark.vllm, pytest.mark.real_model]


def rates(verdicts: Iterable[Verdict], seconds: float) -> tuple[float, float]:
    """Verdicts and written tokens a second."""
    written = [verdict.usage.completion_tokens for verdict in verdicts]
    return len(written) / seconds, sum(written) / seconds


async def test_32_in_flight(server: VllmServer, figure: Callable[[str, str], None]) -> None:
    client = OpenAICompatible(server.url, MODEL, timeout=800)
    began = time.perf_counter()
    alone = [verdict for number in range(100, 108) for verdict in await judge_all(client, [number], temperature=0.7)]
    middle = time.perf_counter()
    together = await judge_all(client, range(108, 140), temperature=0.7)
    ended = time.perf_counter()
    await client.aclose()
    assert [verdict.reason for verdict in alone + together if not verdict.scored] == []
    assert len({verdict.analysis for verdict in together}) > 16  # replies were not mixed up
    one, many = rates(alone, middle - began), rates(together, ended - middle)
    assert many[1] > one[1]
    for what, (verdicts, tokens) in (("one at a time", one), ("32 in flight", many)):
        figure(f"verdicts, {what}", f"{verdicts:.2f}/s, {tokens:.0f} tokens/s")
