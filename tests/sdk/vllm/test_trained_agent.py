"""A folder that training wrote is an agent on a vLLM server, and says there what it says in transformers."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from reagent_sdk import with_critique
from reagent_sdk.clients.base import Sampling
from reagent_sdk.messages import user
from reagent_sdk.specs import client_for

from .server import MODEL, PYTHON, VllmServer

pytestmark = [pytest.mark.vllm, pytest.mark.real_model]
sys.path.insert(0, str(Path(__file__).parents[2] / "training" / "helpers"))


async def reply(spec: str, question: str) -> str:
    """What a model says, greedily."""
    client = client_for(spec)
    try:
        return (await client.complete([user(question)], Sampling(temperature=0, max_tokens=8))).text
    finally:
        await client.aclose()


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")  # peft over transformers
def test_what_reagent_u_trained_answers_through_vllm(tmp_path: Path) -> None:
    if not PYTHON.exists():
        pytest.skip("vLLM is not installed; run `make test-vllm`")
    import tiny_agent
    from reagent_training.agent_rl import recipe

    tiny_agent.write_agent(tmp_path / "agent", says=(tiny_agent.RIGHT, tiny_agent.WRONG))
    tiny_agent.write_tasks(tmp_path / "tasks.jsonl", 8)
    trained = tmp_path / "trained"
    recipe.run(tiny_agent.settings(tmp_path, optimiser={"max_steps": 12}), trained, tiny_agent.queue())
    with VllmServer(trained, tmp_path / "server.log", "--max-model-len", "1024") as server:
        replies = [asyncio.run(reply(spec, tiny_agent.QUESTION)) for spec in (f"{server.url}#{MODEL}", f"hf:{trained}")]
        with with_critique(f"{server.url}#{MODEL}", judge=lambda task, work: (0.9, "Fine.")) as agent:
            run = agent.run(tiny_agent.QUESTION)
    assert replies == [tiny_agent.RIGHT] * 2
    assert run.answer in (tiny_agent.RIGHT, tiny_agent.WRONG)
