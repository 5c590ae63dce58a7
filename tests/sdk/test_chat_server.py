from __future__ import annotations

import contextlib
import gc
import socket
import threading
import warnings
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import anyio
import pytest

from reagent_sdk.messages import ToolCall
from reagent_sdk.testing.server import ChatServer, Fault, Reply, refused_url

pytestmark = pytest.mark.anyio
ASK = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def ask(server: ChatServer, body: dict[str, Any] = ASK, **more: Any) -> tuple[int, Any]:
    url = f"{server.base_url}/chat/completions"
    async with aiohttp.ClientSession() as session, session.post(url, json=body, **more) as reply:
        return reply.status, await reply.json()


async def test_answers_come_in_order_and_the_last_repeats() -> None:
    with ChatServer(["one", Reply("two", reasoning="why", usage=(1, 2), finish_reason="length")]) as server:
        replies = [(await ask(server))[1] for _ in range(3)]
    texts = [reply["choices"][0]["message"]["content"] for reply in replies]
    assert texts == ["one", "two", "two"]
    assert replies[1]["choices"][0]["message"]["reasoning_content"] == "why"
    assert replies[1]["choices"][0]["finish_reason"] == "length"
    assert replies[1]["usage"] == {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}


async def test_requests_are_recorded_with_body_and_headers() -> None:
    with ChatServer() as server:
        await ask(server, headers={"Authorization": "Bearer k"})
    assert server.requests[0].body == ASK
    assert server.requests[0].headers["authorization"] == "Bearer k"


async def test_a_function_scripts_by_the_request() -> None:
    def script(body: dict[str, Any]) -> Reply:
        return Reply("", tool_calls=[ToolCall.make("add", {"a": len(body["messages"])}, id="c1")], usage=None)

    with ChatServer(script) as server:
        _, reply = await ask(server)
    message = reply["choices"][0]["message"]
    assert message["content"] is None
    assert message["tool_calls"][0]["function"] == {"name": "add", "arguments": '{"a": 1}'}
    assert "usage" not in reply


async def test_what_a_script_raises_reaches_the_test() -> None:
    def script(body: dict[str, Any]) -> str:
        raise KeyError("wrong question")

    server = ChatServer(script).__enter__()
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{server.base_url}/chat/completions", json=ASK) as reply,
    ):
        assert reply.status == 500
    with pytest.raises(KeyError, match="wrong question"):
        server.__exit__(None, None, None)


async def test_models_name_the_engine() -> None:
    with ChatServer(model="big", owned_by="llamacpp") as server:
        async with aiohttp.ClientSession() as session, session.get(f"{server.base_url}/models") as reply:
            listed = await reply.json()
    assert listed["data"] == [{"id": "big", "object": "model", "owned_by": "llamacpp"}]
    assert server.models_asked == 1


async def test_a_status_fault_carries_retry_after_and_a_body() -> None:
    with ChatServer([Fault.status(429, retry_after=2, body={"error": {"message": "slow down"}})]) as server:
        url = f"{server.base_url}/chat/completions"
        async with aiohttp.ClientSession() as session, session.post(url, json=ASK) as reply:
            assert (reply.status, reply.headers["Retry-After"]) == (429, "2")
            assert await reply.json() == {"error": {"message": "slow down"}}


@pytest.mark.parametrize("fault", [Fault.reset_mid_body(), Fault.truncated_body()])
async def test_broken_connections_break(fault: Fault) -> None:
    with ChatServer([fault]) as server, pytest.raises(aiohttp.ClientError) as caught:
        await ask(server)
    assert ("reset by peer" in str(caught.value)) == (fault.kind == "reset_mid_body")


async def test_a_huge_reply_is_well_formed_when_read_to_the_end() -> None:
    with ChatServer([Fault.huge(300_000)]) as server:
        _, reply = await ask(server)
    assert reply["choices"][0]["message"]["content"] == "a" * 300_000


@pytest.mark.parametrize("answer", [Fault.hang(), Reply("late", delay=3600)])
async def test_a_client_that_leaves_is_noticed(answer: Reply | Fault) -> None:
    with ChatServer([answer]) as server:
        with pytest.raises(TimeoutError):
            await ask(server, timeout=aiohttp.ClientTimeout(total=0.5))
        assert await anyio.to_thread.run_sync(server.wait_disconnect)
        assert server.disconnects == 1


@pytest.mark.parametrize("answer", [Fault.hang(), Reply("late", delay=3600)])
def test_closing_releases_a_hanging_request_at_once(answer: Reply | Fault) -> None:
    arrived = threading.Event()

    def script(body: dict[str, Any]) -> Reply | Fault:
        arrived.set()
        return answer

    with ChatServer(script) as server:
        port = urlsplit(server.base_url).port
        raw = socket.create_connection(("127.0.0.1", port))
        raw.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
        assert arrived.wait(120)
    with raw:
        assert raw.recv(1) == b""
    assert server.disconnects == 0


def test_nothing_is_left_behind() -> None:
    before = set(threading.enumerate())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with ChatServer() as server:
            port = urlsplit(server.base_url).port
        gc.collect()
    assert set(threading.enumerate()) - before == set()  # those of earlier tests may end meanwhile
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port)).close()


def test_a_refused_url_refuses() -> None:
    with refused_url() as url, pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", urlsplit(url).port)).close()


def test_an_empty_script_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one answer"):
        ChatServer([])


def test_a_server_is_used_once() -> None:
    server = ChatServer()
    with server:
        pass
    with pytest.raises(RuntimeError), server:
        pass


async def test_a_trickle_never_falls_silent_and_ends_as_no_json() -> None:
    with ChatServer([Fault.trickle(0.3)]) as server:
        url = f"{server.base_url}/chat/completions"
        async with aiohttp.ClientSession() as session, session.post(url, json=ASK) as reply:
            pieces = [piece async for piece in reply.content.iter_any()]
    assert reply.status == 200
    assert b"".join(pieces) == b" " * 6 + b"{"
    assert len(pieces) > 1


async def test_a_server_comes_back_at_the_port_of_another() -> None:
    with ChatServer(["first"]) as server:
        port = urlsplit(server.base_url).port
        assert port
        await ask(server)
    with ChatServer(["second"], port=port) as again:
        assert again.base_url == server.base_url
        assert (await ask(again))[1]["choices"][0]["message"]["content"] == "second"


def test_a_real_client_puts_a_stream_together_again() -> None:
    import openai

    call = ToolCall.make("look", {"where": "the long corridor"}, id="call-1")
    reply = Reply("two words", tool_calls=[call], finish_reason="tool_calls", usage=(4, 2))
    asked = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream_options": {"include_usage": True}}
    with (
        ChatServer([reply]) as server,
        openai.OpenAI(base_url=server.base_url, api_key="x") as client,
        client.chat.completions.stream(**asked) as events,
    ):
        deltas = [event.delta for event in events if event.type == "content.delta"]
        whole = events.get_final_completion()
    assert deltas == ["", "two ", "words"]
    (got,) = whole.choices[0].message.tool_calls or ()
    assert (got.id, got.function.name, got.function.arguments) == ("call-1", "look", call.arguments_text)
    assert whole.usage is not None
    assert whole.usage.total_tokens == 6


def test_a_connection_that_comes_while_the_server_ends_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    lost: list[object] = []
    monkeypatch.setattr("sys.unraisablehook", lambda found: lost.append(found.exc_value))
    for _ in range(5):
        with ChatServer() as server:
            address = ("127.0.0.1", urlsplit(server.base_url).port)
            clients = [socket.create_connection(address, timeout=30) for _ in range(2)]
        for client in clients:
            with contextlib.suppress(ConnectionResetError):  # one that was never accepted
                assert client.recv(1) == b""
            client.close()
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        gc.collect()
    assert lost == []
