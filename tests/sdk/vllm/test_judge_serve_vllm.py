"""`reagent judge serve` with a real vLLM as its child: a LoRA judge, a killed engine, and nothing left at the end."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from judge_server import KEY, alive, judge_server, until

from reagent_sdk import VerdictStatus
from reagent_sdk.clients.openai_compatible import OpenAICompatible

from .server import ENVIRONMENT, PYTHON
from .work import case, judge_with

pytestmark = [pytest.mark.anyio, pytest.mark.vllm, pytest.mark.real_model, pytest.mark.timeout(1800)]

# See `VllmServer` for why the prompt is read in one piece.
FLAGS = ["--enforce-eager", "--dtype", "float32", "--max-model-len", "4096", "--max-num-seqs", "8"]
FLAGS += ["--no-enable-chunked-prefill", "--max-num-batched-tokens", "4096"]


def descendants(root: int) -> list[int]:
    found: list[int] = []
    for listed in Path(f"/proc/{root}/task").glob("*/children"):
        for child in map(int, listed.read_text().split()):
            found += [child, *descendants(child)]
    return found


async def test_a_lora_judge_of_vllm_is_hosted_and_brought_back(vllm_weights: Path, adapters: dict[str, Path]) -> None:
    words = [f"hf:{vllm_weights}", "--engine", "vllm", "--vllm-python", str(PYTHON), "--api-key-env", "SERVE_KEY"]
    words += ["--lora", f"judge={adapters['random']}", "--", *FLAGS]
    with judge_server(*words, **ENVIRONMENT) as server:
        assert "serving judge (vllm)" in server.announced()
        client = OpenAICompatible(server.url, api_key=KEY, max_attempts=1, timeout=600)
        judge = judge_with(client)
        first = await judge.judge(*case(1))
        again = await judge.judge(*case(1))
        assert first.status is again.status is VerdictStatus.SCORED
        assert again.usage.cached_tokens > 0
        assert "vllm:num_requests_running" in {name for name, *_ in server.metrics()}
        processes = descendants(server.process.pid)
        assert len(processes) >= 3  # the guard, vLLM's server, its engine
        os.kill(processes[-1], signal.SIGKILL)
        until(lambda: server.get("/ready").status_code == 503, seconds=120)
        assert (await judge.judge(*case(1))).status is VerdictStatus.UNAVAILABLE
        until(lambda: server.get("/ready").status_code == 200, seconds=600)
        assert (await judge.judge(*case(1))).score == first.score
        assert server.counted("backend_restarts_total", "vllm") == 1
        processes = descendants(server.process.pid)
        await judge.aclose()
        server.tell(signal.SIGTERM)
        assert server.ended() == 0
    assert not any(map(alive, processes))
