"""What the rounds of one task share is read once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from reagent_sdk import Task, Trajectory
from reagent_sdk.clients.openai_compatible import OpenAICompatible

from .server import MODEL, VllmServer
from .work import judge_with

pytestmark = [pytest.mark.anyio, pytest.mark.vllm, pytest.mark.real_model]

PREFILL = "vllm:request_prefill_time_seconds_sum"
TASK = Task(question="How many of the 90 lighthouses on the list were built of granite?")
LIST = "\n".join(f"Lighthouse {n}: built of {'granite' if n % 3 else 'brick'}, {20 + n} metres" for n in range(90))
CALL = {"id": "c1", "type": "function", "function": {"name": "lookup", "arguments": '{"list": "lighthouses"}'}}


def attempt(answer: str) -> Trajectory:
    """One round: the evidence is the same, the answer differs."""
    found = [
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": LIST},
    ]
    return Trajectory.from_openai([*found, {"role": "assistant", "content": answer}])


async def test_the_second_round_is_answered_from_the_cache(
    server: VllmServer, figure: Callable[[str, str], None]
) -> None:
    judge = judge_with(OpenAICompatible(server.url, MODEL, timeout=800))
    verdicts, seconds = [], []
    for answer in ("There are 60 of them.", "I counted again: of the 90, 60 are of granite."):
        before = server.metric(PREFILL)
        verdicts.append(await judge.judge(TASK, attempt(answer)))
        seconds.append(server.metric(PREFILL) - before)
    await judge.aclose()
    first, second = verdicts
    assert first.scored
    assert second.scored
    prompt, cached = second.usage.prompt_tokens, second.usage.cached_tokens
    # All but the answer, which comes last, and what follows it is shared; blocks hold up to 128 tokens.
    assert prompt - cached < 256
    assert cached > first.usage.cached_tokens
    assert seconds[1] < seconds[0] / 2
    figure("second verdict on a task", f"{cached} of {prompt} prompt tokens from the cache")
    figure(
        "reading its prompt",
        f"{seconds[1]:.2f} s, {seconds[0]:.2f} s for the first, {seconds[0] - seconds[1]:.2f} s saved",
    )
