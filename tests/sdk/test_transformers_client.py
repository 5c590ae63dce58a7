from __future__ import annotations

import asyncio
import importlib.util
import json
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from reagent_sdk import scope
from reagent_sdk.budget import Meter
from reagent_sdk.clients.base import ChatClient, Sampling
from reagent_sdk.clients.transformers_client import Transformers
from reagent_sdk.errors import ContextOverflow, MissingExtra, ModelRejected, ModelUnavailable, WeightsUnavailable
from reagent_sdk.events import Event, PromptProgress, TextDelta
from reagent_sdk.messages import user

pytestmark = [pytest.mark.anyio, pytest.mark.real_model]

GREEDY = Sampling(temperature=0, max_tokens=24)
CAPITAL = [user("What is the capital of France?")]


@pytest.fixture(scope="session")
def tiny_hf(smollm_hf: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real tokenizer over a random model of 16 positions."""
    from transformers import LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("tiny") / "tiny"
    shutil.copytree(smollm_hf, folder, ignore=shutil.ignore_patterns("*.safetensors", "config.json"))
    config = LlamaConfig(
        vocab_size=49152,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=48,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture
async def client(smollm_hf: Path) -> AsyncIterator[Transformers]:
    client = Transformers(smollm_hf, device="cpu")
    yield client
    await client.aclose()


@pytest.fixture
async def tiny(tiny_hf: Path) -> AsyncIterator[Transformers]:
    client = Transformers(tiny_hf)
    yield client
    await client.aclose()


async def test_answers_streams_and_counts(client: Transformers) -> None:
    as_protocol: ChatClient = client
    assert as_protocol.name == "hf:smollm2-135m-instruct"
    events: list[Event] = []
    meter = Meter()
    with scope.entered(scope.Scope(meter, events.append)):
        reply = await client.complete(CAPITAL, GREEDY)
    assert reply.text == "The capital of France is Paris."
    assert reply.finish_reason == "stop"
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == reply.text
    assert isinstance(events[0], PromptProgress)
    assert reply.usage.prompt_tokens == events[0].total == 37
    assert reply.usage.completion_tokens == 8
    assert reply.usage.cost_usd == 0.0
    assert meter.usage.total_tokens == 45


async def test_seeds_lengths_and_stop_strings(client: Transformers) -> None:
    ask = [user("Tell me a story.")]
    texts = [
        (await client.complete(ask, Sampling(temperature=1, top_p=0.9, seed=seed, max_tokens=8))).text
        for seed in (1, 1, 2)
    ]
    assert texts[0] == texts[1] != texts[2]
    cut = await client.complete(ask, Sampling(max_tokens=2))
    assert (cut.truncated, cut.usage.completion_tokens) == (True, 2)
    stopped = await client.complete(CAPITAL, Sampling(temperature=0, max_tokens=24, stop=("nothing", "ce is P")))
    assert (stopped.text, stopped.finish_reason) == ("The capital of Fran", "stop")


async def test_the_random_numbers_of_others_are_left_alone(tiny: Transformers) -> None:
    import torch

    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    await tiny.complete([user("Hi.")], Sampling(temperature=1, seed=1, max_tokens=2))
    assert torch.equal(before, torch.random.get_rng_state())


async def test_cancelling_ends_the_generation_and_charges_it(client: Transformers) -> None:
    writing = asyncio.Event()
    meter = Meter()
    with scope.entered(scope.Scope(meter, lambda event: writing.set() if isinstance(event, TextDelta) else None)):
        task = asyncio.create_task(client.complete([user("Tell me a long story.")], Sampling(max_tokens=4000)))
    await writing.wait()
    started = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - started < 30  # 4,000 tokens would take minutes
    assert 0 < meter.usage.completion_tokens < 200
    assert meter.usage.unmetered_calls == 0


async def test_what_does_not_fit(tiny: Transformers) -> None:
    with pytest.raises(ContextOverflow, match="48"):
        await tiny.complete([user("word " * 60)], Sampling())
    with pytest.raises(ContextOverflow, match="48"):
        await tiny.complete([user("Hi.")], Sampling(max_tokens=40))
    reply = await tiny.complete([user("Hi.")], Sampling(temperature=0))
    assert reply.usage.total_tokens == 48
    assert reply.truncated


@pytest.mark.parametrize("extra", [{"nonsense": 1}, {"tools": []}])
async def test_requests_that_cannot_work_are_rejected(tiny: Transformers, extra: dict[str, object]) -> None:
    with pytest.raises(ModelRejected):
        await tiny.complete([user("Hi.")], Sampling(extra=extra))


async def test_messages_that_the_template_refuses_are_rejected(tiny_hf: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_hf, tmp_path / "strict")
    (folder / "chat_template.jinja").write_text("{{ raise_exception('no system prompt here') }}")
    client = Transformers(folder)
    with pytest.raises(ModelRejected, match="no system prompt here"):
        await client.complete([user("Hi.")], GREEDY)
    await client.aclose()


async def test_weights_that_cannot_be_used(tiny_hf: Path, tmp_path: Path) -> None:
    untold = shutil.copytree(tiny_hf, tmp_path / "untold")
    (untold / "chat_template.jinja").unlink()
    pickled = shutil.copytree(tiny_hf, tmp_path / "pickled")
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    empty = tmp_path / "empty"
    empty.mkdir()
    for folder, reason in ((untold, "no chat template"), (pickled, "safetensors"), (empty, "cannot load")):
        client = Transformers(folder)
        with pytest.raises(WeightsUnavailable, match=reason):
            await client.load()
        await client.aclose()


async def test_an_adapter_needs_peft(tiny_hf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = shutil.copytree(tiny_hf, tmp_path / "adapter")
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(tiny_hf)}))
    client = Transformers(folder)
    monkeypatch.setattr("reagent_sdk.clients.hf_model.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"pip install 'reagent-sdk\["):
        await client.load()
    await client.aclose()


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")  # peft over transformers
async def test_a_peft_adapter_runs_over_its_base(smollm_hf: Path, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    folder = shutil.copytree(smollm_hf, tmp_path / "adapter", ignore=shutil.ignore_patterns("model.safetensors"))
    base = AutoModelForCausalLM.from_pretrained(smollm_hf)
    config = LoraConfig(r=4, lora_alpha=512, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    adapter = get_peft_model(base, config)
    adapter.save_pretrained(folder)
    plain, adapted = Transformers(smollm_hf, device="cpu"), Transformers(folder, device="cpu")
    replies = [(await client.complete(CAPITAL, GREEDY)).text for client in (plain, adapted)]
    assert replies[0] != replies[1]
    for client in (plain, adapted):
        await client.aclose()


async def test_a_closed_client_says_so(tiny: Transformers) -> None:
    await tiny.load()
    await tiny.aclose()
    await tiny.aclose()
    with pytest.raises(ModelUnavailable, match="is closed"):
        await tiny.complete([user("Hi.")], GREEDY)


def test_says_which_extra_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reagent_sdk.clients.transformers_client.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"pip install 'reagent-sdk\[hf\]'"):
        Transformers("someone/model")


def test_importing_the_client_loads_no_torch() -> None:
    code = "import sys, json, reagent_sdk.clients.transformers_client; print(json.dumps(sorted(sys.modules)))"
    loaded = set(json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout))
    assert not loaded & {"torch", "transformers", "xllamacpp"}


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="needs torch")
@pytest.mark.parametrize(
    ("stops", "pieces", "text"),
    [
        ((), ["a", "b"], "ab"),
        (("</x>",), ["a<", "/x", "y</", "x>z"], "a</xy"),
        (("ab", "b"), ["aa", "b"], "a"),
        (("end",), ["en"], "en"),
        (("", "q"), ["aq"], "a"),
    ],
)
def test_stop_strings_are_found_across_pieces(stops: tuple[str, ...], pieces: list[str], text: str) -> None:
    from reagent_sdk.clients.hf_streaming import StopStrings

    stopper = StopStrings(stops)
    assert "".join([*map(stopper.feed, pieces), stopper.feed("", last=True)]) == text
