"""A LoRA judge beside its base model on one server, chosen by its name."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from reagent_sdk import Verdict
from reagent_sdk.clients.base import Sampling
from reagent_sdk.clients.openai_compatible import OpenAICompatible
from reagent_sdk.clients.transformers_client import Transformers
from reagent_sdk.messages import user
from reagent_sdk.specs import client_for

from .server import MODEL, VllmServer
from .work import case, judge_with

pytestmark = [pytest.mark.anyio, pytest.mark.vllm, pytest.mark.real_model]

ASK, GREEDY = [user("What is the capital of France?")], Sampling(temperature=0, max_tokens=24)


async def verdict_of(server: VllmServer, model: str) -> Verdict:
    judge = judge_with(OpenAICompatible(server.url, model, timeout=800))
    verdict = await judge.judge(*case(0))
    await judge.aclose()
    return verdict


async def test_the_name_picks_the_adapter(server: VllmServer) -> None:
    base, zero, random = [await verdict_of(server, model) for model in (MODEL, "zero", "random")]
    assert base.scored, base.reason
    assert random.scored, random.reason  # the grammar holds for adapters as well
    assert (zero.analysis, zero.critique, zero.score) == (base.analysis, base.critique, base.score)
    assert random.analysis != base.analysis
    assert random.judge == f"random at {server.url}"


async def test_an_adapter_nobody_serves_is_no_score(server: VllmServer) -> None:
    verdict = await verdict_of(server, "nobody")
    assert (verdict.status, verdict.score) == ("unavailable", None)
    assert "404" in verdict.reason


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")  # peft over transformers
async def test_the_adapter_says_what_it_says_in_transformers(
    server: VllmServer, vllm_weights: Path, adapters: dict[str, Path], tmp_path: Path
) -> None:
    tokenizer_only = shutil.ignore_patterns("config.json", "*.safetensors")
    folder = shutil.copytree(vllm_weights, tmp_path / "random", ignore=tokenizer_only)
    shutil.copytree(adapters["random"], folder, dirs_exist_ok=True)
    here, there = Transformers(folder, device="cpu"), client_for(f"{server.url}#random")
    replies = [(await client.complete(ASK, GREEDY)).text for client in (here, there)]
    assert replies[0]
    assert replies[0] == replies[1]
    for client in (here, there):
        await client.aclose()
