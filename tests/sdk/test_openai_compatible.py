from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import math
import pickle
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
from hypothesis import given
from hypothesis import strategies as st

from reagent_sdk.budget import Budget, Meter
from reagent_sdk.clients.base import Completion, Sampling
from reagent_sdk.clients.openai_compatible import OpenAICompatible
from reagent_sdk.clients.replies import completion_from, json_object, usage_from
from reagent_sdk.errors import (
    BadReply,
    BudgetExceeded,
    ContextOverflow,
    InvalidInput,
    ModelError,
    ModelRejected,
    ModelUnavailable,
)
from reagent_sdk.messages import ToolCall, user
from reagent_sdk.scope import Scope, entered
from reagent_sdk.testing.server import ChatServer, Fault, Reply, refused_url

pytestmark = pytest.mark.anyio
KEY = "k3y-of-the-house"
HELLO = [user("hello")]
PLAIN = Sampling()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def no_key_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REAGENT_API_KEY", raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-meant-for-somebody-else")


@pytest.fixture(autouse=True, scope="module")
def others_set_aside() -> Iterator[None]:
    """Keeps what other tests loaded out of the collections that follow, which would take long with it."""
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


def client_of(url: str, model: str | None = "m", **options: Any) -> OpenAICompatible:
    client = OpenAICompatible(url, model, **options)
    client.retry = replace(client.retry, sleep=no_sleep)
    return client


async def ask(server: ChatServer, sampling: Sampling = PLAIN, **options: Any) -> Completion:
    client = client_of(server.base_url, **options)
    try:
        return await client.complete(HELLO, sampling)
    finally:
        await client.aclose()


async def test_a_completion_arrives_as_the_model_wrote_it() -> None:
    text = "<think>hm</think> {braces} é \U0001f600\u2028"
    answer = Reply(text, reasoning="because", finish_reason="length", usage=(20, 5))
    with ChatServer([answer]) as server:
        reply = await ask(server)
    assert reply.text == text
    assert reply.message.reasoning == "because"
    assert reply.message.to_openai()["reasoning_content"] == "because"
    assert reply.truncated
    assert reply.model == "test-model"
    assert (reply.usage.calls, reply.usage.prompt_tokens, reply.usage.completion_tokens) == (1, 20, 5)
    assert reply.usage.cost_usd is None
    assert reply.usage.seconds > 0


async def test_the_request_holds_what_was_asked_and_nothing_else() -> None:
    sampling = Sampling(temperature=0.5, top_p=0.9, max_tokens=7, seed=3, stop=("END",), extra={"top_k": 4})
    with ChatServer() as server:
        await ask(server, sampling)
        await ask(server, PLAIN)
    assert server.requests[0].body == {
        "model": "m",
        "messages": [{"role": "user", "content": "hello"}],
        "temperature": 0.5,
        "top_p": 0.9,
        "max_tokens": 7,
        "seed": 3,
        "stop": ["END"],
        "top_k": 4,
    }
    assert server.requests[1].body == {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
    assert server.models_asked == 0


async def test_tool_calls_are_kept() -> None:
    call = ToolCall.make("add", '{"a":1,  "b":2}', id="c1")
    with ChatServer([Reply(tool_calls=[call], finish_reason=None)]) as server:
        reply = await ask(server)
    assert reply.message.tool_calls == (call,)
    assert reply.finish_reason == "tool_calls"


# --- the model and its engine ---


async def test_without_a_model_the_first_listed_is_asked_for_once() -> None:
    with ChatServer(model="big") as server:
        client = client_of(server.base_url, None)
        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(client.complete, HELLO, PLAIN)
        await client.aclose()
    assert server.models_asked == 1
    assert {request.body["model"] for request in server.requests} == {"big"}
    assert client.name == server.base_url  # the same before and after: verdicts are filed under it


@pytest.mark.parametrize(
    ("owner", "fields"),
    [
        ("vllm", {"structured_outputs": {"grammar": 'root ::= "a"'}}),
        ("llamacpp", {"grammar": 'root ::= "a"'}),
        ("somebody", {}),
    ],
)
async def test_a_grammar_is_sent_in_the_servers_dialect(owner: str, fields: dict[str, Any]) -> None:
    with ChatServer(owned_by=owner) as server:
        await ask(server, Sampling(grammar='root ::= "a"'))
    body = server.requests[0].body
    assert {key: value for key, value in body.items() if key not in {"model", "messages"}} == fields


@pytest.mark.parametrize("fault", [Fault.status(404), Fault.status(401), Fault.wrong_content_type()])
async def test_a_server_without_a_list_of_models_serves_a_named_model(fault: Fault) -> None:
    with ChatServer(models_fault=fault) as server:
        reply = await ask(server, Sampling(grammar="root ::= [a-z]+"))
    assert reply.text == "ok"
    assert set(server.requests[0].body) == {"model", "messages"}


async def test_a_server_without_a_list_of_models_needs_a_name() -> None:
    with ChatServer(models_fault=Fault.status(404)) as server, pytest.raises(ModelRejected, match="404"):
        await ask(server, model=None)
    nameless = Fault.status(200, body={"data": [{"id": 3}, "x"]})
    with ChatServer(models_fault=nameless) as server, pytest.raises(BadReply, match="pass model="):
        await ask(server, model=None)


# --- faults ---


async def test_a_refused_connection() -> None:
    with refused_url() as url:
        client = client_of(url)
        with pytest.raises(ModelUnavailable, match=r"connection failed.*given up after 3 attempts") as caught:
            await client.complete(HELLO, PLAIN)
        await client.aclose()
    assert caught.value.model == f"m at {url}"


@pytest.mark.parametrize(
    "fault",
    [
        Fault.reset_mid_body(),
        Fault.truncated_body(),
        Fault.status(429, retry_after=1),
        *(Fault.status(code) for code in (408, 409, 500, 502, 503, 504, 529)),
        Fault.status(200, body={"error": {"message": "upstream", "code": 502}}),
        Fault.status(200, body={"object": "error", "message": "upstream", "code": "503"}),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.code}",
)
async def test_passing_faults_are_sent_again(fault: Fault) -> None:
    meter = Meter()
    with ChatServer([fault, "fine"]) as server, entered(Scope(meter)):
        reply = await ask(server)
    assert reply.text == "fine"
    assert (reply.usage.calls, reply.usage.retries) == (1, 1)
    assert (meter.usage.calls, meter.usage.retries, meter.usage.prompt_tokens) == (1, 1, 7)


async def test_retry_after_is_waited_for() -> None:
    naps: list[float] = []

    async def nap(seconds: float) -> None:
        naps.append(seconds)

    with ChatServer([Fault.status(429, retry_after=9), "fine"]) as server:
        client = OpenAICompatible(server.base_url, "m")
        client.retry = replace(client.retry, sleep=nap)
        await client.complete(HELLO, PLAIN)
        await client.aclose()
    assert naps == [9.0]


async def test_faults_that_stay_are_given_up() -> None:
    meter = Meter()
    loading, given_up = Fault.status(503, body="Loading model"), r"503.*Loading model.*after 3 attempts"
    with (
        entered(Scope(meter)),
        ChatServer([loading]) as server,
        pytest.raises(ModelUnavailable, match=given_up) as caught,
    ):
        await ask(server)
    assert caught.value.status == 503
    assert len(server.requests) == 3
    assert (meter.usage.calls, meter.usage.retries) == (1, 2)
    assert (meter.usage.unpriced_calls, meter.usage.unmetered_calls) == (1, 1)


async def test_a_server_that_hangs_is_left_after_the_timeout() -> None:
    with ChatServer([Fault.hang()]) as server:
        with pytest.raises(ModelUnavailable, match="no reply in time"):
            await ask(server, timeout=1.0, max_attempts=1)
        assert await anyio.to_thread.run_sync(server.wait_disconnect)


@pytest.mark.parametrize(
    ("fault", "wrong"),
    [
        (Fault.empty_body(), "the reply is empty"),
        (Fault.invalid_json(), "the reply is not JSON"),
        (Fault.wrong_content_type(), "text/html, not JSON: .*Please log in"),
        (Fault.huge(10 * 2**20), "longer than 8388608 bytes"),
        (Fault.status(200, body={}), "no choices"),
        (Fault.status(200, body={"choices": []}), "no choices"),
        (Fault.status(200, body={"choices": ["x"]}), "no choices"),
        (Fault.status(200, body={"choices": [{}]}), "no message"),
        (Fault.status(200, body={"choices": [{"message": {"content": 3}}]}), "malformed"),
        (Fault.status(200, body={"error": {"message": "odd", "code": "xyz"}}), "states an error: odd"),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else value[:12],
)
async def test_what_is_no_completion_is_a_bad_reply(fault: Fault, wrong: str) -> None:
    with ChatServer([fault]) as server, pytest.raises(BadReply, match=wrong) as caught:
        await ask(server)
    assert len(server.requests) == 1
    assert str(caught.value).startswith(f"m at {server.base_url}: ")
    assert len(str(caught.value)) < 400


async def test_the_limit_on_replies_is_exact() -> None:
    size = len(json.dumps(Reply("x" * 1000).body("test-model")).encode())
    with ChatServer([Reply("x" * 1000)]) as server:
        assert (await ask(server, max_reply_bytes=size)).text == "x" * 1000
        with pytest.raises(BadReply, match="longer than"):
            await ask(server, max_reply_bytes=size - 1)


@pytest.mark.parametrize(
    ("code", "body", "fix"),
    [
        (401, None, "pass api_key= or set REAGENT_API_KEY"),
        (403, None, "pass api_key= or set REAGENT_API_KEY"),
        (404, {"error": {"message": "no such model"}}, "check model=.*no such model"),
        (422, {"detail": [{"msg": "bad field"}]}, "check the sampling fields.*bad field"),
        (400, "<html>bad gateway</html>", "check the sampling fields.*bad gateway"),
        (429, {"error": {"message": "quota", "code": "insufficient_quota"}}, "no credit.*quota"),
        (307, "", "points elsewhere"),
        (501, "", "does not take this request"),
    ],
)
async def test_refusals_name_the_fix_and_are_not_sent_again(code: int, body: Any, fix: str) -> None:
    refusal, told = Fault.status(code, body=body), f"{code}: .*{fix}"
    with ChatServer([refusal]) as server, pytest.raises(ModelRejected, match=told) as caught:
        await ask(server)
    assert caught.value.status == code
    assert not isinstance(caught.value, ContextOverflow)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "error",
    [
        {"type": "exceed_context_size_error", "message": "the request exceeds", "code": 400},
        {"code": "context_length_exceeded", "message": "too long"},
        {"code": 400, "message": "This model's maximum context length is 4096 tokens. However, you requested 5000"},
    ],
)
@pytest.mark.parametrize("status", [400, 200])
async def test_a_prompt_that_does_not_fit_is_told_apart(error: dict[str, Any], status: int) -> None:
    with ChatServer([Fault.status(status, body={"error": error})]) as server, pytest.raises(ContextOverflow):
        await ask(server)
    assert len(server.requests) == 1


async def test_the_budget_is_asked_before_anything_is_sent() -> None:
    meter = Meter(Budget(calls=1))
    with ChatServer() as server, entered(Scope(meter)):
        await ask(server, model=None)
        with pytest.raises(BudgetExceeded):
            await ask(server, model=None)
    assert (len(server.requests), server.models_asked) == (1, 1)


async def test_cancelling_aborts_the_request_at_the_server() -> None:
    arrived = threading.Event()

    def script(body: dict[str, Any]) -> Fault:
        arrived.set()
        return Fault.hang()

    with ChatServer(script) as server:
        client = client_of(server.base_url)
        asking = asyncio.create_task(client.complete(HELLO, PLAIN))
        assert await anyio.to_thread.run_sync(arrived.wait, 10)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert await anyio.to_thread.run_sync(server.wait_disconnect)
        await client.aclose()


@pytest.mark.parametrize("extra", [{"stream": True}, {"x": object()}, {"x": math.nan}])
async def test_fields_that_cannot_be_sent_are_refused(extra: dict[str, Any]) -> None:
    with ChatServer() as server, pytest.raises(InvalidInput, match="extra"):
        await ask(server, Sampling(extra=extra))
    assert not server.requests


# --- keys ---


@pytest.mark.parametrize(
    ("given", "environment", "sent"),
    [
        (None, None, None),
        (None, KEY, f"Bearer {KEY}"),
        (f" {KEY}\n", "other", f"Bearer {KEY}"),
        ("", KEY, None),
    ],
)
async def test_which_key_is_sent(
    given: str | None, environment: str | None, sent: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if environment:
        monkeypatch.setenv("REAGENT_API_KEY", environment)
    with ChatServer() as server:
        await ask(server, api_key=given)
    assert server.requests[0].headers.get("authorization") == sent


async def test_a_redirect_does_not_take_the_key_elsewhere() -> None:
    with ChatServer() as elsewhere:
        pointer = Reply(status=307, headers={"Location": f"{elsewhere.base_url}/chat/completions"})
        with ChatServer([pointer]) as server, pytest.raises(ModelRejected, match="points elsewhere"):
            await ask(server, api_key=KEY)
    assert not elsewhere.requests


async def test_user_and_password_in_the_address_are_sent_and_not_shown() -> None:
    with ChatServer() as server:
        url = server.base_url.replace("//", "//ann:hunt%20er@")
        client = client_of(url)
        await client.complete(HELLO, PLAIN)
        await client.aclose()
    assert server.requests[0].headers["authorization"] == "Basic YW5uOmh1bnQgZXI="
    assert client.name == f"m at {server.base_url}"
    assert "hunt" not in repr(client)


@pytest.mark.parametrize("status", [200, 401, 503])
async def test_a_key_that_the_server_repeats_is_not_passed_on(status: int, caplog: pytest.LogCaptureFixture) -> None:
    body = {"error": {"message": f"key '{KEY}' and Bearer {KEY} in " + "x" * 140 + KEY}}
    with ChatServer([Fault.status(status, body=body)]) as server:
        client = client_of(server.base_url, api_key=KEY)
        with pytest.raises(ModelError) as caught:
            await client.complete(HELLO, PLAIN)
        await client.aclose()
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + caplog.text
    assert KEY[:8] not in shown + client.name + repr(client)
    assert KEY not in repr(vars(client))


def test_a_client_with_a_key_is_not_pickled() -> None:
    with pytest.raises(TypeError):
        pickle.dumps(OpenAICompatible("http://127.0.0.1:1/v1", api_key=KEY)._endpoint)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "base_url is empty"),
        ("127.0.0.1:8000/v1", "not an http or https address"),
        ("ftp://host/v1", "not an http or https address"),
        ("http:///v1", "not an http or https address"),
        ("http://host:99999/v1", "not an http or https address"),
        ("http://[::1/v1", "not an http or https address"),
        ("http://ho st/v1", "blanks"),
        ("http://host/v1?key=abc", "query"),
        ("http://host/v1/chat/completions/", "leave out /chat/completions"),
        ("htp://ann:hunter22@host/v1", "not an http or https address"),
    ],
)
def test_an_address_that_cannot_work_is_refused(url: str, says: str) -> None:
    with pytest.raises(InvalidInput, match=says) as caught:
        OpenAICompatible(url)
    assert "hunter22" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"timeout": 0}, "timeout"),
        ({"timeout": math.nan}, "timeout"),
        ({"max_attempts": 0}, "max_attempts"),
        ({"max_reply_bytes": 0}, "max_reply_bytes"),
        ({"price": (1.0, -1.0)}, "price"),
        ({"price": (1.0,)}, "price"),
        ({"api_key": "two\nlines"}, "line breaks"),
    ],
)
def test_options_that_cannot_work_are_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidInput, match=says) as caught:
        OpenAICompatible("http://127.0.0.1:1/v1", **options)
    assert "two" not in str(caught.value)


# --- usage ---


async def test_a_price_makes_a_cost() -> None:
    usage = {"prompt_tokens": 1000, "completion_tokens": 100, "prompt_tokens_details": {"cached_tokens": 900}}
    with ChatServer([Reply("x", usage=usage), Reply("x", usage=None)]) as server:
        client = client_of(server.base_url, price=(1.0, 10.0))
        priced, unknown = [(await client.complete(HELLO, PLAIN)).usage for _ in range(2)]
        await client.aclose()
    assert priced.cost_usd == pytest.approx(0.002)
    assert priced.cached_tokens == 900
    assert (unknown.cost_usd, unknown.total_tokens) == (None, None)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
FIELDS = st.sampled_from(["prompt_tokens", "completion_tokens", "prompt_tokens_details", "cached_tokens"])
COUNTS = st.dictionaries(FIELDS, JSON | st.dictionaries(FIELDS, JSON))


@given(COUNTS | JSON, st.none() | st.just((1.0, 2.0)))
def test_no_reported_usage_breaks_us(reported: Any, price: tuple[float, float] | None) -> None:
    usage = usage_from(reported, price=price)
    assert usage.calls == 1
    assert 0 <= usage.cached_tokens <= usage.prompt_tokens < 10**9
    assert math.isfinite(usage.priced_usd)
    assert usage.unmetered_calls == 0 or usage.known_tokens == 0


@pytest.mark.parametrize("count", [-1, math.nan, math.inf, 10**400, True, "7", 1.5, None])
def test_a_count_that_cannot_be_true_counts_as_unknown(count: Any) -> None:
    usage = usage_from({"prompt_tokens": count, "completion_tokens": 1}, price=(1, 1))
    assert (usage.total_tokens, usage.cost_usd) == (None, None)


@given(st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()))
def test_no_body_breaks_us(body: bytes) -> None:
    with contextlib.suppress(BadReply):
        completion_from(json_object(body))


def test_bodies_made_to_break_a_parser() -> None:
    deep = "[" * 100_000
    nested = '{"x":' * 300 + "1" + "}" * 300
    for body in (deep, f'{{"choices": [{{"message": {nested}}}]}}', '{"choices": ' + "9" * 5000 + "}"):
        with pytest.raises(BadReply):
            completion_from(json_object(body.encode()))
    reply = completion_from(json_object(b'{"choices": [{"message": {"content": "a\\ud800b \\ud83d\\ude00"}}]}'))
    assert reply.text == "a\ufffdb \U0001f600"


# --- event loops ---


def test_one_client_in_several_event_loops() -> None:
    with ChatServer() as server:
        client = client_of(server.base_url)
        for _ in range(3):
            asyncio.run(client.complete(HELLO, PLAIN))
        with start_blocking_portal() as portal:
            portal.call(client.complete, HELLO, PLAIN)
            portal.call(client.aclose)
            portal.call(client.complete, HELLO, PLAIN)
        assert not client._links._held
    assert len(server.requests) == 5


async def test_closing_is_idempotent_and_a_closed_client_connects_again() -> None:
    with ChatServer() as server:
        client = client_of(server.base_url)
        await client.aclose()
        await client.complete(HELLO, PLAIN)
        await client.aclose()
        await client.aclose()
        assert (await client.complete(HELLO, PLAIN)).text == "ok"
        await client.aclose()


async def test_closing_also_closes_in_other_loops() -> None:
    with ChatServer() as server, start_blocking_portal() as portal:
        client = client_of(server.base_url)
        await anyio.to_thread.run_sync(portal.call, client.complete, HELLO, PLAIN)
        await client.complete(HELLO, PLAIN)
        session = next(
            link.session for loop, (_, link) in client._links._held.items() if loop is not asyncio.get_running_loop()
        )
        await client.aclose()
        assert not client._links._held
        await anyio.to_thread.run_sync(portal.call, asyncio.sleep, 0)
        await anyio.to_thread.run_sync(portal.call, asyncio.sleep, 0)
        assert session.closed


@pytest.mark.parametrize("cycle", [False, True])
async def test_a_client_that_is_dropped_closes_its_connections(cycle: bool) -> None:
    with ChatServer() as server:
        client = client_of(server.base_url)
        await client.complete(HELLO, PLAIN)
        connector = (await client._links.get()).session.connector
        if cycle:
            client.itself = client  # type: ignore[attr-defined]
        del client
        gc.collect()
        for _ in range(5):
            await asyncio.sleep(0)
        assert connector is not None
        assert connector.closed


def test_importing_the_client_does_not_import_aiohttp_or_tenacity() -> None:
    heavy = "{'aiohttp', 'tenacity', 'litellm'} & set(sys.modules)"
    code = f"import sys, reagent_sdk.clients.openai_compatible, reagent_sdk.testing.server; print({heavy} or 'none')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "none"
