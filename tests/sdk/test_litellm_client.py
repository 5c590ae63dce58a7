from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import anyio
import pytest
from anyio.from_thread import start_blocking_portal

from reagent_sdk.budget import Meter
from reagent_sdk.clients.base import Completion, Sampling
from reagent_sdk.clients.litellm_client import LiteLLM
from reagent_sdk.errors import (
    BadReply,
    ContextOverflow,
    InvalidInput,
    ModelError,
    ModelRejected,
    ModelUnavailable,
)
from reagent_sdk.messages import ToolCall, from_openai, user
from reagent_sdk.scope import Scope, entered
from reagent_sdk.testing.server import ChatServer, Fault, Reply, refused_url

pytestmark = pytest.mark.anyio
KEY = "k3y-of-the-house"
HELLO = [user("hello")]
PLAIN = Sampling()
BOTH = pytest.mark.parametrize("model", ["openai/test", "hosted_vllm/x"])
"""Two routes through litellm: over the openai package, and over its own HTTP handler."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def no_keys_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY", "HOSTED_VLLM_API_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True, scope="module")
def litellm_set_aside() -> Iterator[None]:
    """Loads litellm and keeps its many objects out of the collections that follow, which take long otherwise."""
    with pytest.raises(ModelRejected):
        asyncio.run(LiteLLM("nosuchthing").complete(HELLO, PLAIN))
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def nothing_unclosed() -> Iterator[None]:
    """Warnings from finalisers are not raised where a test sees them; this makes each one a failure."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
        gc.collect()
    assert [str(warning.message) for warning in caught] == []


async def no_sleep(seconds: float) -> None:
    await asyncio.sleep(0)


def client_of(url: str | None, model: str, *, api_key: str | None = KEY, **options: Any) -> LiteLLM:
    client = LiteLLM(model, api_base=url, api_key=api_key, **options)
    client.retry = replace(client.retry, sleep=no_sleep)
    return client


async def ask(server: ChatServer, model: str, sampling: Sampling = PLAIN, **options: Any) -> Completion:
    return await client_of(server.base_url, model, **options).complete(HELLO, sampling)


@BOTH
async def test_a_completion_arrives(model: str) -> None:
    usage = {"prompt_tokens": 20, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}}
    meter = Meter()
    with ChatServer([Reply("hi {x}", usage=usage, finish_reason="length")]) as server, entered(Scope(meter)):
        reply = await ask(server, model, Sampling(temperature=0.5, max_tokens=9, seed=3, stop=("END",)))
    assert reply.text == "hi {x}"
    assert reply.truncated
    assert reply.message.to_openai() == {"role": "assistant", "content": "hi {x}"}
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens, reply.usage.cached_tokens) == (20, 5, 4)
    assert reply.usage.cost_usd is None  # a local model's price is unknown, not 0
    assert meter.usage == reply.usage.model_copy(update={"seconds": meter.usage.seconds})
    body = server.requests[0].body
    assert (body["temperature"], body["max_tokens"], body["seed"], body["stop"]) == (0.5, 9, 3, ["END"])
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"


@BOTH
async def test_litellm_moves_think_blocks_out_of_the_text(model: str) -> None:
    """Not our choice: this is why judges on OpenAI-compatible endpoints are called directly."""
    with ChatServer(["<think>weigh it</think>Good.", Reply("Good.", reasoning="weigh it")]) as server:
        replies = [await ask(server, model) for _ in range(2)]
    for reply in replies:
        assert reply.text == "Good."
        assert reply.message.reasoning == "weigh it"
        assert reply.message.to_openai()["reasoning_content"] == "weigh it"


@BOTH
async def test_other_tags_stay_where_they_are(model: str) -> None:
    text = "<analysis>a</analysis>\n<critique>c</critique>\n<score>0.5</score>"
    with ChatServer([text]) as server:
        assert (await ask(server, model)).text == text


@BOTH
async def test_tools_go_there_and_calls_come_back(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mcp", None)  # left to itself, litellm wants it as soon as there are tools
    tools = [{"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}]
    call = ToolCall.make("add", '{"a":1,  "b":2}', id="c1")
    with ChatServer([Reply(tool_calls=[call], finish_reason="tool_calls"), "3"]) as server:
        client = client_of(server.base_url, model)
        first = await client.complete(HELLO, Sampling(extra={"tools": tools}))
        result = from_openai([{"role": "tool", "tool_call_id": "c1", "content": "3"}])
        await client.complete([*HELLO, first.message, *result], Sampling(extra={"tools": tools}))
    assert first.message.tool_calls is not None
    assert (first.message.tool_calls[0].name, first.message.tool_calls[0].arguments_text) == ("add", '{"a":1,  "b":2}')
    assert first.message.content is None
    assert first.finish_reason == "tool_calls"
    assert server.requests[0].body["tools"] == tools
    sent_back = server.requests[1].body["messages"][1]
    assert sent_back["tool_calls"] == [call.model_dump(mode="json")]
    assert "provider_specific_fields" not in sent_back


async def test_a_known_model_has_its_price_and_unreported_usage_has_none() -> None:
    with ChatServer([Reply("x", usage=(1000, 1000)), Reply("x", usage=None)]) as server:
        known = (await ask(server, "openai/gpt-4o")).usage
        unknown = (await ask(server, "openai/gpt-4o")).usage
    assert known.cost_usd is not None
    assert known.cost_usd > 0
    assert (unknown.cost_usd, unknown.total_tokens) == (None, None)


# --- faults ---


@BOTH
@pytest.mark.parametrize(
    "fault",
    [
        *(Fault.status(code) for code in (408, 409, 429, 500, 503)),
        Fault.reset_mid_body(),
        Fault.truncated_body(),
        Fault.status(200, body={"error": {"message": "upstream", "code": 500}}),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.code}",
)
async def test_passing_faults_are_sent_again_by_us_alone(model: str, fault: Fault) -> None:
    with ChatServer([fault, fault, "fine"]) as server:
        reply = await ask(server, model)
    assert reply.text == "fine"
    assert reply.usage.retries == 2
    assert len(server.requests) == 3


@BOTH
async def test_a_refused_connection_is_unavailable(model: str) -> None:
    with refused_url() as url, pytest.raises(ModelUnavailable, match=r"connection failed.*after 3 attempts") as caught:
        await client_of(url, model).complete(HELLO, PLAIN)
    assert caught.value.model == f"{model} at {url}"


@BOTH
async def test_retry_after_is_waited_for(model: str) -> None:
    naps: list[float] = []

    async def nap(seconds: float) -> None:
        naps.append(seconds)

    with ChatServer([Fault.status(429, retry_after=9), "fine"]) as server:
        client = client_of(server.base_url, model)
        client.retry = replace(client.retry, sleep=nap)
        await client.complete(HELLO, PLAIN)
    assert naps == [9.0]


@BOTH
async def test_a_server_that_hangs_is_left_after_the_timeout(model: str) -> None:
    with ChatServer([Fault.hang()]) as server:
        with pytest.raises(ModelUnavailable):
            await ask(server, model, timeout=1.0, max_attempts=1)
        assert await anyio.to_thread.run_sync(server.wait_disconnect)


@BOTH
async def test_cancelling_aborts_the_request_at_the_server(model: str) -> None:
    arrived = threading.Event()

    def script(body: dict[str, Any]) -> Fault:
        arrived.set()
        return Fault.hang()

    with ChatServer(script) as server:
        asking = asyncio.create_task(ask(server, model))
        assert await anyio.to_thread.run_sync(arrived.wait, 10)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert await anyio.to_thread.run_sync(server.wait_disconnect)


@BOTH
@pytest.mark.parametrize(
    "fault",
    [
        Fault.empty_body(),
        Fault.invalid_json(),
        Fault.wrong_content_type(),
        Fault.status(200, body={"choices": []}),
    ],
    ids=lambda fault: fault.kind,
)
async def test_what_is_no_completion_is_a_bad_reply(model: str, fault: Fault) -> None:
    with ChatServer([fault]) as server, pytest.raises(BadReply):
        await ask(server, model)
    assert len(server.requests) == 1


@BOTH
@pytest.mark.parametrize(
    ("code", "body", "told"),
    [
        (401, {"error": {"message": "no entry"}}, "the key was refused; pass api_key=.*no entry"),
        (403, None, "the key was refused"),
        (404, {"error": {"message": "no such model"}}, "check model=.*no such model"),
        (422, {"error": {"message": "odd field"}}, "odd field"),
        (429, {"error": {"message": "quota", "code": "insufficient_quota"}}, "no credit"),
    ],
)
async def test_refusals_are_not_sent_again(model: str, code: int, body: Any, told: str) -> None:
    with ChatServer([Fault.status(code, body=body)]) as server, pytest.raises(ModelRejected, match=told) as caught:
        await ask(server, model)
    assert caught.value.status == code
    assert len(server.requests) == 1


@BOTH
@pytest.mark.parametrize(
    "error",
    [
        {"type": "exceed_context_size_error", "message": "the request exceeds", "code": 400},
        {"code": "context_length_exceeded", "message": "too long"},
        {"code": 400, "message": "This model's maximum context length is 4096 tokens. However, you requested 5000"},
    ],
)
async def test_a_prompt_that_does_not_fit_is_told_apart(model: str, error: dict[str, Any]) -> None:
    with ChatServer([Fault.status(400, body={"error": error})]) as server, pytest.raises(ContextOverflow):
        await ask(server, model)


# --- keys ---


@pytest.mark.parametrize(
    ("model", "variable"),
    [
        ("openai/gpt-4o", "OPENAI_API_KEY"),
        ("anthropic/claude-3-5-sonnet-20240620", "ANTHROPIC_API_KEY"),
        ("gemini/gemini-1.5-pro", "GEMINI_API_KEY"),
    ],
)
async def test_a_missing_key_names_its_variable_and_is_not_retried(model: str, variable: str) -> None:
    naps: list[float] = []

    async def nap(seconds: float) -> None:
        naps.append(seconds)

    client = client_of(None, model, api_key=None)
    client.retry = replace(client.retry, sleep=nap)
    with pytest.raises(ModelRejected, match=f"pass api_key= or set .*{variable}"):
        await client.complete(HELLO, PLAIN)
    assert not naps


async def test_a_model_without_a_provider_is_rejected() -> None:
    with pytest.raises(ModelRejected, match="Provider NOT provided"):
        await client_of(None, "nosuchthing").complete(HELLO, PLAIN)


@BOTH
@pytest.mark.parametrize("status", [401, 500])
async def test_keys_are_not_passed_on(model: str, status: int, caplog: pytest.LogCaptureFixture) -> None:
    other = "another-hidden-value"
    body = {"error": {"message": f"key {KEY} and {other} are wrong"}}
    with ChatServer([Fault.status(status, body=body)]) as server:
        client = client_of(server.base_url, model, extra_headers={"x-other-token": other})
        with pytest.raises(ModelError) as caught:
            await client.complete(HELLO, PLAIN)
    assert server.requests[0].headers["x-other-token"] == other
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + caplog.text
    shown += client.name + repr(client) + repr(vars(client))
    assert KEY not in shown
    assert other not in shown


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"model": " "}, "model is empty"),
        ({"timeout": -1}, "timeout"),
        ({"max_attempts": 0}, "max_attempts"),
        ({"stream": True}, "stream"),
        ({"num_retries": 3}, "num_retries"),
    ],
)
def test_options_that_cannot_work_are_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        LiteLLM(**{"model": "openai/test", **options})


async def test_a_call_cannot_ask_for_a_stream() -> None:
    with pytest.raises(InvalidInput, match="stream"):
        await LiteLLM("openai/test").complete(HELLO, Sampling(extra={"stream": True}))


# --- event loops and imports ---


@BOTH
def test_one_client_in_several_event_loops(model: str, capfd: pytest.CaptureFixture[str]) -> None:
    with ChatServer() as server:
        client = client_of(server.base_url, model)
        for _ in range(3):
            asyncio.run(client.complete(HELLO, PLAIN))
        with start_blocking_portal() as portal:
            portal.call(client.complete, HELLO, PLAIN)
            portal.call(client.aclose)
            portal.call(client.aclose)
            portal.call(client.complete, HELLO, PLAIN)
    assert len(server.requests) == 5
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("strictness", ["error", "always"])
def test_a_program_stays_quiet_and_clean(strictness: str) -> None:
    """From a cold start, as a user would run it: nothing printed, nothing unclosed, litellm loaded by the call only."""
    program = """
import asyncio, gc, sys
from reagent_sdk.clients.base import Sampling
from reagent_sdk.clients.litellm_client import LiteLLM
from reagent_sdk.messages import user
from reagent_sdk.testing.server import ChatServer

assert not {"litellm", "openai", "aiohttp", "tenacity"} & set(sys.modules)
with ChatServer() as server:
    client = LiteLLM("openai/test", api_base=server.base_url, api_key="k")
    for _ in range(2):
        reply = asyncio.run(client.complete([user("hi")], Sampling()))
        gc.collect()
print(reply.text)
"""
    done = subprocess.run(
        [sys.executable, "-W", strictness, "-c", program], capture_output=True, text=True, check=False, timeout=240
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "ok\n", "")
