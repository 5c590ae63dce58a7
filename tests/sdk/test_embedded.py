from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import anyio
import pytest
from gguf_lora import write_lora

from reagent_sdk import scope
from reagent_sdk.budget import Budget, Meter
from reagent_sdk.clients.base import ChatClient, Sampling
from reagent_sdk.clients.embedded import Embedded
from reagent_sdk.errors import (
    BudgetExceeded,
    ContextOverflow,
    InvalidInput,
    ModelRejected,
    ModelUnavailable,
    WeightsUnavailable,
)
from reagent_sdk.events import Event, PromptProgress, TextDelta
from reagent_sdk.messages import assistant, from_openai, system, user

pytestmark = [pytest.mark.anyio, pytest.mark.real_model]

GREEDY = Sampling(temperature=0, max_tokens=24)
ENDLESS = Sampling(temperature=0, extra={"ignore_eos": True})
LONG_PROMPT = " ".join(f"item {number}" for number in range(200))


@pytest.fixture
async def client(smollm: Path) -> AsyncIterator[Embedded]:
    client = Embedded(smollm, context=2048)
    yield client
    await client.aclose()


class Watch:
    """Collects events and lets a test wait for the first text."""

    def __init__(self, stage: str = "agent") -> None:
        self.events: list[Event] = []
        self.threads: set[str] = set()
        self.writing = asyncio.Event()
        self.reading = asyncio.Event()

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        self.threads.add(threading.current_thread().name)
        (self.writing if isinstance(event, TextDelta) else self.reading).set()

    @property
    def text(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, TextDelta))


async def test_a_client_is_a_chat_client(client: Embedded, smollm: Path) -> None:
    as_protocol: ChatClient = client
    assert as_protocol.name == f"local:{smollm.name}"


async def test_answers_and_counts(client: Embedded) -> None:
    meter = Meter()
    with scope.entered(scope.Scope(meter)):
        reply = await client.complete([system("Be brief."), user("Name a colour.")], GREEDY)
    assert reply.text
    assert reply.model.endswith(".gguf")
    assert reply.usage.prompt_tokens > 10
    assert 0 < reply.usage.completion_tokens <= 24
    assert reply.usage.cost_usd == 0.0
    assert meter.usage == reply.usage.model_copy(update={"seconds": meter.usage.seconds})


async def test_the_same_seed_gives_the_same_text(client: Embedded) -> None:
    replies = [
        (await client.complete([user("Tell me a story.")], Sampling(temperature=1, seed=seed, max_tokens=12))).text
        for seed in (1, 1, 2)
    ]
    assert replies[0] == replies[1] != replies[2]


async def test_max_tokens_cuts_off(client: Embedded) -> None:
    reply = await client.complete([user("Tell me a story.")], Sampling(max_tokens=3, extra={"ignore_eos": True}))
    assert (reply.truncated, reply.usage.completion_tokens) == (True, 3)


async def test_stop_strings_end_the_text(client: Embedded) -> None:
    reply = await client.complete([user("Count from one to ten.")], Sampling(temperature=0, max_tokens=60, stop=("3",)))
    assert reply.finish_reason == "stop"
    assert "3" not in reply.text


async def test_a_grammar_constrains_the_whole_reply(client: Embedded) -> None:
    grammar = 'root ::= "<score>0." [0-9] "</score>"'
    reply = await client.complete([user("Rate the sky.")], Sampling(grammar=grammar, max_tokens=40))
    assert reply.text.startswith("<score>0.")
    assert reply.text.endswith("</score>")
    assert reply.finish_reason == "stop"


async def test_conversations_with_tools_in_them_are_accepted(client: Embedded) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
    past = from_openai(
        [
            {"role": "user", "content": [{"type": "text", "text": "Add one."}]},
            {"role": "assistant", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "1", "content": "2"},
        ]
    )
    assert (await client.complete([*past, assistant("Done."), user("Thanks.")], GREEDY)).text


async def test_events_come_in_order_on_the_loop_and_before_the_reply(client: Embedded) -> None:
    watch = Watch()
    with scope.entered(scope.Scope(observe=watch, stage="judge")):
        reply = await client.complete([user(LONG_PROMPT)], GREEDY)
    assert watch.text == reply.text
    assert watch.threads == {threading.current_thread().name}
    kinds = [type(event) for event in watch.events]
    first_text = kinds.index(TextDelta)
    assert set(kinds[:first_text]) == {PromptProgress}
    assert set(kinds[first_text:]) == {TextDelta}
    done = [event.done for event in watch.events if isinstance(event, PromptProgress)]
    assert done == sorted(done)
    assert len(done) > 5
    assert done[-1] == reply.usage.prompt_tokens
    assert {event.stage for event in watch.events if isinstance(event, TextDelta)} == {"judge"}


async def test_an_observer_that_fails_ends_the_call_with_its_error(client: Embedded) -> None:
    def fail(event: Event) -> None:
        raise ZeroDivisionError

    with scope.entered(scope.Scope(observe=fail)), pytest.raises(ZeroDivisionError):
        await client.complete([user("Hi.")], ENDLESS)


@pytest.mark.parametrize("when", ["reading", "writing"])
async def test_cancelling_frees_the_slot_and_charges_what_was_done(client: Embedded, when: str) -> None:
    watch, meter = Watch(), Meter()
    with scope.entered(scope.Scope(meter, watch)):
        tasks = [asyncio.create_task(client.complete([user(LONG_PROMPT)], ENDLESS)) for _ in range(2)]
    await getattr(watch, when).wait()
    started = time.process_time()
    for task in tasks:
        task.cancel()
    assert [type(error) for error in await asyncio.gather(*tasks, return_exceptions=True)] == [
        asyncio.CancelledError
    ] * 2
    await client.complete([user("Hi.")], Sampling(max_tokens=1))
    assert time.process_time() - started < 15  # two replies of 2,000 tokens would take a minute
    assert meter.usage.calls == 2
    assert meter.usage.unmetered_calls == 0
    if when == "writing":
        assert meter.usage.completion_tokens > 0


async def test_cancel_scopes_cancel_too(client: Embedded) -> None:
    watch = Watch()
    with scope.entered(scope.Scope(observe=watch)):
        async with anyio.create_task_group() as group:
            group.start_soon(client.complete, [user("Tell me a story.")], ENDLESS)
            await watch.writing.wait()
            group.cancel_scope.cancel()
    seen = len(watch.events)
    await client.complete([user("Hi.")], Sampling(max_tokens=1))
    assert len(watch.events) == seen


async def test_a_queued_call_is_cancelled_at_once(client: Embedded) -> None:
    watch, meter = Watch(), Meter()
    with scope.entered(scope.Scope(observe=watch)):
        busy = [asyncio.create_task(client.complete([user("Tell me a story.")], ENDLESS)) for _ in range(2)]
    await watch.writing.wait()
    with scope.entered(scope.Scope(meter)), anyio.move_on_after(0.05):
        await client.complete([user("Hi.")], ENDLESS)
    assert (meter.usage.calls, meter.usage.total_tokens) == (1, 0)
    assert not any(task.done() for task in busy)
    for task in busy:
        task.cancel()
    await asyncio.gather(*busy, return_exceptions=True)


async def test_more_calls_than_slots_all_finish(client: Embedded) -> None:
    asked = [client.complete([user(f"Say {number}.")], Sampling(temperature=0, max_tokens=4)) for number in range(6)]
    assert all(reply.text for reply in await asyncio.gather(*asked))


async def test_long_calls_side_by_side_do_not_starve_each_other(smollm: Path) -> None:
    client = Embedded(smollm, context=512)
    prompts = [f"{number} " + " ".join(["word"] * 400) for number in range(2)]
    asked = [client.complete([user(prompt)], Sampling(max_tokens=20, extra={"ignore_eos": True})) for prompt in prompts]
    assert [reply.usage.completion_tokens for reply in await asyncio.gather(*asked)] == [20, 20]
    await client.aclose()


async def test_a_prompt_that_does_not_fit(client: Embedded) -> None:
    meter = Meter()
    with scope.entered(scope.Scope(meter)), pytest.raises(ContextOverflow, match="2048") as caught:
        await client.complete([user("word " * 3000)], GREEDY)
    assert caught.value.status == 400
    assert caught.value.model == client.name
    assert meter.usage.total_tokens == 0


@pytest.mark.parametrize(
    "sampling",
    [Sampling(grammar="root ::= ["), Sampling(extra={"min_p": "x"}), Sampling(extra={"x": object()})],
    ids=["grammar", "type", "not-json"],
)
async def test_a_request_that_cannot_work_is_rejected(client: Embedded, sampling: Sampling) -> None:
    with pytest.raises(ModelRejected):
        await client.complete([user("Hi.")], sampling)
    assert (await client.complete([user("Hi.")], GREEDY)).text


async def test_a_budget_is_asked_first(client: Embedded) -> None:
    with scope.entered(scope.Scope(Meter(Budget(calls=1)))):
        await client.complete([user("Hi.")], Sampling(max_tokens=1))
        with pytest.raises(BudgetExceeded):
            await client.complete([user("Hi.")], Sampling(max_tokens=1))


async def test_clients_share_one_engine_until_the_last_closes(smollm: Path) -> None:
    first, second, other = Embedded(smollm), Embedded(str(smollm)), Embedded(smollm, context=256)
    assert first.engine is second.engine is not other.engine
    engine, url = weakref.ref(first.engine), first.engine.base_url
    await first.aclose()
    await first.aclose()
    assert second.engine.base_url == url
    with pytest.raises(ModelUnavailable, match="is closed"):
        await first.complete([user("Hi.")], GREEDY)
    await second.complete([user("Hi.")], Sampling(max_tokens=1))
    del second
    gc.collect()
    assert engine() is None
    await other.aclose()
    assert "reagent-engine" not in {thread.name for thread in threading.enumerate()}


async def test_two_event_loops_share_an_engine(client: Embedded) -> None:
    def elsewhere() -> str:
        return asyncio.run(client.complete([user("Hi.")], GREEDY)).text

    here, there = await asyncio.gather(client.complete([user("Hi.")], GREEDY), asyncio.to_thread(elsewhere))
    assert here.text
    assert there


async def test_the_engine_is_also_a_server_for_those_with_its_key(client: Embedded) -> None:
    body = {"messages": [{"role": "user", "content": "Hi."}], "max_tokens": 4}
    async with aiohttp.ClientSession() as session:
        for key, status in ((client.engine.api_key, 200), ("guess", 401)):
            headers = {"Authorization": f"Bearer {key}"}
            url = f"{client.engine.base_url}/chat/completions"
            async with session.post(url, json=body, headers=headers) as reply:
                assert reply.status == status
                answer = await reply.json()
                assert ("choices" in answer) == (status == 200)


async def test_an_adapter_can_be_scaled_and_switched_off_on_one_engine(client: Embedded, tmp_path: Path) -> None:
    file = write_lora(tmp_path / "judge.gguf", strength=0.2)
    question = [user("Name three colours.")]
    base = await client.complete(question, GREEDY)
    trained = Embedded(client.engine.spec.model, lora=file, context=2048)
    silent = Embedded(client.engine.spec.model, lora=(file, 0.0), context=2048)
    bare = trained.bare()
    assert trained.engine is bare.engine is silent.engine is not client.engine
    assert trained.name == f"{client.name}+lora:judge.gguf"
    assert bare.name == silent.name == client.name
    replies = [(await one.complete(question, GREEDY)).text for one in (trained, bare, silent, trained)]
    assert replies[0] == replies[3] != base.text
    assert replies[1] == replies[2] == base.text


async def test_a_truncated_file_is_said(smollm: Path, tmp_path: Path) -> None:
    file = tmp_path / "cut.gguf"
    with smollm.open("rb") as whole:
        file.write_bytes(whole.read(1 << 20))
    client = Embedded(file)
    with pytest.raises(WeightsUnavailable, match=r"cannot load .*cut\.gguf"):
        await client.complete([user("Hi.")], GREEDY)
    await client.aclose()


def test_bad_arguments(smollm: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="at least 1"):
        Embedded(smollm, slots=0)
    with pytest.raises(WeightsUnavailable, match="cannot read"):
        Embedded(smollm, lora=tmp_path / "none.gguf")
    with pytest.raises(WeightsUnavailable, match="no weights called"):
        Embedded("gpt-99")


EXIT = """
import asyncio, sys
from reagent_sdk.clients.base import Sampling
from reagent_sdk.clients.embedded import Embedded
from reagent_sdk.events import TextDelta
from reagent_sdk.messages import user
from reagent_sdk import scope

loop = asyncio.new_event_loop()

def stop(event):
    if isinstance(event, TextDelta):
        loop.stop()

async def ask():
    with scope.entered(scope.Scope(observe=stop)):
        await Embedded(sys.argv[1]).complete([user("Tell me a story.")], Sampling(extra={"ignore_eos": True}))

task = loop.create_task(ask())
loop.run_forever()
print("leaving")
"""


def test_a_process_can_exit_in_mid_generation(smollm: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", EXIT, str(smollm)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "leaving\n"), done.stderr


def test_importing_the_client_loads_no_engine() -> None:
    code = "import sys, json, reagent_sdk.clients.embedded; print(json.dumps(sorted(sys.modules)))"
    loaded = set(json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout))
    assert not loaded & {"xllamacpp", "torch", "transformers", "huggingface_hub", "litellm"}
