"""The clients that applications use, pointed at the proxy by nothing but its address."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from proxy_server import DRAFT, GOOD, Proxy, answering, judging, proxy_thread, said
from reagent_adapters.proxy.app import Doors

from reagent_sdk.messages import ToolCall
from reagent_sdk.testing import ChatServer, Fault, Reply, ScriptedJudge

ASKED: list[Any] = [{"role": "user", "content": "How many bolts?"}]
LOOK = ToolCall.make("look", {"where": "robe"}, id="call-1")
TOOL: Any = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}


@pytest.fixture(scope="module")
def proxy() -> Iterator[Proxy]:
    with (
        ChatServer(answering) as upstream,
        ChatServer(judging, model="judge") as judge,
        proxy_thread(upstream.base_url, judge.base_url, doors=Doors(origins=("https://app.example",))) as running,
    ):
        yield running


@pytest.fixture(scope="module")
def tool_proxy() -> Iterator[Proxy]:
    def uses_tools(body: dict[str, Any]) -> Reply:
        done = any(message["role"] == "tool" for message in body["messages"])
        return Reply(GOOD) if done else Reply(tool_calls=[LOOK], finish_reason="tool_calls")

    with ChatServer(uses_tools) as upstream, proxy_thread(upstream.base_url, ScriptedJudge([0.9], gate=0.5)) as running:
        yield running


@pytest.fixture(scope="module")
def client(proxy: Proxy) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=proxy.url, api_key="none") as made:
        yield made


def test_openai_reads_answer_report_and_headers(client: openai.OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model="test-model", messages=ASKED, extra_body={"reagent": {"rounds": 1}}
    )
    done = raw.parse()
    assert done.choices[0].message.content == GOOD
    assert raw.headers["x-reagent-score"] == "0.9"
    assert done.model_extra is not None
    assert done.model_extra["reagent"]["status"] == "answered"
    assert done.usage is not None
    assert done.usage.total_tokens == 30


def test_openai_streams(client: openai.OpenAI) -> None:
    chunks = list(client.chat.completions.create(model="test-model", messages=ASKED, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == GOOD
    for extra in ({}, {"reagent": {"stream": "drafts"}}):
        with client.chat.completions.stream(model="test-model", messages=ASKED, extra_body=extra) as events:
            texts = [event.delta for event in events if event.type == "content.delta"]
            whole = events.get_final_completion()
        assert "".join(texts) == whole.choices[0].message.content == GOOD


def test_async_openai_with_many_choices(proxy: Proxy) -> None:
    async def ask() -> Any:
        async with openai.AsyncOpenAI(base_url=proxy.url, api_key="none") as made:
            whole = made.chat.completions.create(model="test-model", messages=ASKED, n=2)
            stream = await made.chat.completions.create(model="test-model:critique", messages=ASKED, stream=True)
            return await whole, [chunk async for chunk in stream]

    whole, chunks = asyncio.run(ask())
    assert [choice.message.content for choice in whole.choices] == [GOOD, GOOD]
    assert chunks[-1].reagent["score"] == 0.9


def test_openai_lists_and_retrieves_models(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["test-model"]
    assert client.models.retrieve("test-model:critique").id == "test-model"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("another")


def test_openai_raises_its_own_errors(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as bad:
        client.chat.completions.create(model="test-model:rounds=77", messages=ASKED)
    assert bad.value.code == "invalid_policy"
    with pytest.raises(openai.UnprocessableEntityError) as low:
        client.chat.completions.create(
            model="test-model:rounds=0", messages=ASKED, extra_body={"reagent": {"on_low_score": "raise", "floor": 0.9}}
        )
    assert low.value.code == "low_score"


def test_openai_retries_what_may_pass() -> None:
    faults = [Fault.status(429, retry_after=0), Fault.status(503, retry_after=0), Reply(DRAFT)]
    with (
        ChatServer(faults) as upstream,
        proxy_thread(upstream.base_url, ScriptedJudge([0.9], gate=0.5)) as running,
        openai.OpenAI(base_url=running.url, api_key="none", max_retries=2) as made,
    ):
        done = made.chat.completions.create(model="test-model", messages=ASKED)
    assert done.choices[0].message.content == DRAFT


@pytest.mark.parametrize("streamed", [False, True])
def test_openai_calls_tools(tool_proxy: Proxy, streamed: bool) -> None:
    with openai.OpenAI(base_url=tool_proxy.url, api_key="none") as made:
        messages = list(ASKED)
        if streamed:
            with made.chat.completions.stream(model="m", messages=messages, tools=[TOOL]) as events:
                first = events.get_final_completion()
        else:
            first = made.chat.completions.create(model="m", messages=messages, tools=[TOOL])
        called = first.choices[0].message
        assert called.tool_calls
        call: Any = called.tool_calls[0]
        assert (call.id, call.function.name, json.loads(call.function.arguments)) == (
            "call-1",
            "look",
            {"where": "robe"},
        )
        messages += [called, {"role": "tool", "tool_call_id": "call-1", "content": "three"}]
        second = made.chat.completions.create(model="m", messages=messages, tools=[TOOL])
    assert second.choices[0].message.content == GOOD
    assert (second.model_extra or {})["reagent"]["status"] == "accepted"


@pytest.fixture
def litellm_module(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import litellm
    return litellm


@pytest.mark.filterwarnings("ignore")
def test_litellm(proxy: Proxy, litellm_module: Any) -> None:
    given = {"model": "openai/test-model", "messages": ASKED, "api_base": proxy.url, "api_key": "none"}
    done = litellm_module.completion(**given, extra_body={"reagent": {"rounds": 1}})
    assert done.choices[0].message.content == GOOD
    assert done.usage.total_tokens == 30
    assert done._hidden_params["additional_headers"]["llm_provider-x-reagent-score"] == "0.9"
    chunks = list(litellm_module.completion(**given, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == GOOD


@pytest.mark.filterwarnings("ignore")
def test_langchain(proxy: Proxy, tool_proxy: Proxy) -> None:
    from langchain_openai import ChatOpenAI

    model = ChatOpenAI(model="test-model", base_url=proxy.url, api_key="none", include_response_headers=True)
    done = model.invoke("How many bolts?")
    assert done.content == GOOD
    assert done.response_metadata["headers"]["x-reagent-status"] == "answered"
    assert done.usage_metadata["total_tokens"] == 30
    assert "".join(chunk.text for chunk in model.stream("How many bolts?")) == GOOD
    drafts = ChatOpenAI(
        model="test-model", base_url=proxy.url, api_key="none", extra_body={"reagent": {"stream": "drafts"}}
    )
    assert "".join(chunk.text for chunk in drafts.stream("How many bolts?")) == GOOD

    async def astream() -> str:
        return "".join([chunk.text async for chunk in model.astream("How many bolts?")])

    assert asyncio.run(astream()) == GOOD
    tooled = ChatOpenAI(model="m", base_url=tool_proxy.url, api_key="none").bind_tools([TOOL])
    called = tooled.invoke("How many bolts?")
    assert called.tool_calls[0]["args"] == {"where": "robe"}
    answer = tooled.invoke(
        [("user", "How many bolts?"), called, {"role": "tool", "tool_call_id": "call-1", "content": "3"}]
    )
    assert answer.content == GOOD


def curl(*words: str) -> str:
    found = shutil.which("curl")
    if found is None:
        pytest.skip("no curl on this machine")
    done = subprocess.run([found, "--silent", "--max-time", "60", *words], capture_output=True, text=True, check=True)
    return done.stdout


def test_curl(proxy: Proxy) -> None:
    body = json.dumps({"model": "test-model", "messages": ASKED})
    headers = ["-H", "Content-Type: application/json", "-H", "X-Reagent-Policy: rounds=0"]
    answer = curl("-i", f"{proxy.url}/chat/completions", *headers, "-d", body)
    head, _, content = answer.partition("\n\n") if "\n\n" in answer else answer.partition("\r\n\r\n")
    assert "x-reagent-score: 0.2" in head.lower()
    assert json.loads(content)["choices"][0]["message"]["content"] == DRAFT
    streamed = json.dumps({"model": "test-model", "messages": ASKED, "stream": True})
    assert said(curl("-N", f"{proxy.url}/chat/completions", *headers[:2], "-d", streamed)) == GOOD


def test_web_pages_call_only_from_origins_that_were_named(proxy: Proxy, tool_proxy: Proxy) -> None:
    asks = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
    for running, origin, status in (
        (proxy, "https://app.example", 200),
        (proxy, "https://evil.example", 400),
        (tool_proxy, "https://app.example", 405),
    ):
        headers = {"Origin": origin, **asks}
        reply = running.http.options(f"{running.url}/chat/completions", headers=headers)
        assert reply.status_code == status
        allowed = reply.headers.get("access-control-allow-origin")
        assert allowed == (origin if status == 200 else None)
    reply = proxy.ask(headers={"Origin": "https://app.example"})
    assert reply.headers["access-control-allow-origin"] == "https://app.example"
    assert "X-Reagent-Score" in reply.headers["access-control-expose-headers"]


def test_a_page_that_pretends_to_be_this_machine_is_refused(proxy: Proxy) -> None:
    assert proxy.ask(headers={"Host": "evil.example"}).status_code == 403


def test_the_pages_examples_run(proxy: Proxy, capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[3] / "docs" / "proxy.md").read_text(encoding="utf-8")
    examples = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(examples) == 2
    names: dict[str, Any] = {}
    for example in examples:
        assert "http://127.0.0.1:8010/v1" in page
        exec(example.replace("http://127.0.0.1:8010/v1", proxy.url), names)  # noqa: S102 - our own page
    names["client"].close()
    assert capsys.readouterr().out == f"{GOOD} 0.9\n{GOOD}\n"
