"""`/v1/responses` of a running proxy, asked by OpenAI's client and by the Agents SDK's default model."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from proxy_server import DRAFT, GOOD, Proxy, answering, judging, proxy_thread, until
from reagent_adapters.proxy.door import Door, doors_of
from reagent_adapters.proxy.key_file import new_key

from reagent_sdk.messages import ToolCall
from reagent_sdk.serving.log import EventLog
from reagent_sdk.testing import ChatServer, Reply

openai = pytest.importorskip("openai")

Script = Callable[[dict[str, Any]], Reply]


@contextmanager
def served(script: Script = answering, **settings: Any) -> Iterator[tuple[Proxy, ChatServer]]:
    with (
        ChatServer(script) as upstream,
        ChatServer(judging) as judge,
        proxy_thread(upstream.base_url, judge.base_url, **settings) as proxy,
    ):
        yield proxy, upstream


def test_the_client_gets_the_better_answer() -> None:
    with served() as (proxy, upstream), openai.OpenAI(base_url=proxy.url, api_key="none", max_retries=0) as client:
        response = client.responses.create(
            model="test-model", instructions="Be brief.", input="How many bolts?", temperature=0.0
        )
        assert response.output_text == GOOD
        assert (response.status, response.model, response.instructions) == ("completed", "test-model", "Be brief.")
        assert (response.reagent["chosen"], len(response.reagent["attempts"])) == (1, 2)
        assert response.usage.input_tokens == 20  # both drafts were paid for
        first = upstream.requests[0].body
        assert first["messages"] == [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "How many bolts?"},
        ]
        assert first["temperature"] == 0.0
        raw = client.responses.with_raw_response.create(model="test-model", input="How many bolts?")
        assert raw.headers["X-Reagent-Attempts"] == "2"


@pytest.mark.parametrize("mode", ["final_only", "drafts", "bare"])
def test_the_client_streams(mode: str) -> None:
    wish = {"mode": "bare"} if mode == "bare" else {"stream": mode}
    script: Script = answering if mode != "bare" else lambda body: Reply(GOOD)
    with served(script) as (proxy, _), openai.OpenAI(base_url=proxy.url, api_key="none", max_retries=0) as client:
        texts, drafts = [], []
        with client.responses.stream(model="test-model", input="How many bolts?", extra_body={"reagent": wish}) as told:
            for event in told:
                if event.type == "response.output_text.delta":
                    texts.append(event.delta)
                elif event.type == "response.reagent":
                    drafts.append(event.reagent)
            final = told.get_final_response()
        assert "".join(texts) == final.output_text == GOOD
        assert final.usage is not None
        if mode == "drafts":
            first = [draft["delta"] for draft in drafts if draft["event"] == "draft" and draft["attempt"] == 0]
            assert "".join(first) == DRAFT  # in as many pieces as it came
            kinds = [kind for kind, _ in groupby(draft["event"] for draft in drafts)]
            assert kinds == ["draft", "retract", "draft", "final"]
        else:
            assert not drafts
        assert mode == "bare" or final.reagent["score"] == pytest.approx(0.9)


def test_what_is_not_supported_is_named() -> None:
    with served() as (proxy, upstream), openai.OpenAI(base_url=proxy.url, api_key="none", max_retries=0) as client:
        with pytest.raises(openai.BadRequestError) as caught:
            client.responses.create(model="test-model", input="q", previous_response_id="resp_1")
        assert caught.value.param == "previous_response_id"
        with pytest.raises(openai.BadRequestError, match=r"tools\[0\]"):
            client.responses.create(model="test-model", input="q", tools=[{"type": "web_search"}], stream=True)
        assert not upstream.requests


def adding(body: dict[str, Any]) -> Reply:
    """A model that calls the tool and then says what it returned."""
    results = [message["content"] for message in body["messages"] if message["role"] == "tool"]
    if not results:
        call = ToolCall.make("add", {"a": 2, "b": 3}, id="call_1")
        return Reply(tool_calls=[call], finish_reason="tool_calls", reasoning="I need the tool.")
    return Reply(f"{results[-1]}: {GOOD}")


@pytest.mark.parametrize("stream", [False, True])
def test_the_agents_sdk_runs_its_tools_through_the_proxy(stream: bool) -> None:
    agents = pytest.importorskip("agents")
    added: list[tuple[int, int]] = []

    def add(a: int, b: int) -> str:
        """Adds."""
        added.append((a, b))
        return str(a + b)

    async def scene(url: str) -> str:
        async with openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as client:
            model = agents.OpenAIResponsesModel(model="test-model", openai_client=client)
            agent = agents.Agent(name="bolts", instructions="Add.", model=model, tools=[agents.function_tool(add)])
            config = agents.RunConfig(tracing_disabled=True)
            if not stream:
                return str((await agents.Runner.run(agent, "How many bolts?", run_config=config)).final_output)
            running = agents.Runner.run_streamed(agent, "How many bolts?", run_config=config)
            kinds = [event.type async for event in running.stream_events()]
            assert "raw_response_event" in kinds
            return str(running.final_output)

    with served(adding) as (proxy, upstream):
        assert asyncio.run(scene(proxy.url)) == f"5: {GOOD}"
    assert added == [(2, 3)]
    asked = [request.body["messages"] for request in upstream.requests]
    last = next(messages for messages in asked if messages[-1]["role"] == "tool")
    assert [message["role"] for message in last] == ["system", "user", "assistant", "tool"]
    assert last[2]["tool_calls"][0]["id"] == last[3]["tool_call_id"] == "call_1"
    assert last[2]["reasoning_content"] == "I need the tool."
    assert json.loads(last[2]["tool_calls"][0]["function"]["arguments"]) == {"a": 2, "b": 3}


def test_a_key_with_a_budget_at_the_running_proxy(tmp_path: Path) -> None:
    key, digest = new_key()
    keys, ledger = tmp_path / "keys.toml", tmp_path / "ledger.db"
    keys.write_text(f'[[keys]]\nname = "team-a"\nsha256 = "{digest}"\ncalls = 5\nmodels = ["test-*"]\n')
    for left in (True, False):  # the ledger outlives the server
        doors = doors_of(Door("127.0.0.1", keys, ledger), EventLog(), in_flight=8)
        with (
            served(doors=doors) as (proxy, upstream),
            openai.OpenAI(base_url=proxy.url, api_key=key, max_retries=0) as client,
        ):
            if left:
                assert client.responses.create(model="test-model", input="How many bolts?").output_text == GOOD
                with pytest.raises(openai.PermissionDeniedError):
                    client.responses.create(model="other", input="q")
                with pytest.raises(openai.AuthenticationError):
                    client.with_options(api_key=f"{key}x").responses.create(model="test-model", input="q")
                assert proxy.counted("key_calls_total", "team-a") == 4  # two drafts, two verdicts
                assert proxy.counted("key_refusals_total", "unknown", "key") == 1
                client.responses.create(model="test-model", input="q")  # one call is left: an answer without a verdict
                assert len(upstream.requests) == 3
            with pytest.raises(openai.RateLimitError) as caught:
                client.responses.create(model="test-model", input="q")
            assert caught.value.code == "insufficient_quota"
            until(lambda proxy=proxy: "caller=team-a" in proxy.log())
            assert key not in proxy.log()
            assert digest not in proxy.log()
