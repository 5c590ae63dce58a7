"""Streams: only what was chosen, or drafts as well; signs of life, errors, and what a plain client puts together."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from proxy_server import DRAFT, GOOD, Proxy, answering, events, judging, proxy_thread, said, until
from reagent_adapters.proxy.sse import Pace

from reagent_sdk.messages import ToolCall
from reagent_sdk.testing import ChatServer, Fault, Reply, ScriptedJudge

CALLS = [ToolCall.make("look", {"where": "robe"}, id="call-1"), ToolCall.make("count", {}, id="call-2")]
TOOLS = [{"type": "function", "function": {"name": name}} for name in ("look", "count")]


@pytest.fixture(scope="module")
def upstream() -> Iterator[ChatServer]:
    with ChatServer(answering) as running:
        yield running


@pytest.fixture(scope="module")
def proxy(upstream: ChatServer) -> Iterator[Proxy]:
    with ChatServer(judging, model="judge") as judge, proxy_thread(upstream.base_url, judge.base_url) as running:
        yield running


def test_final_only_is_the_chosen_answer_and_nothing_else(proxy: Proxy) -> None:
    reply = proxy.ask(stream=True, stream_options={"include_usage": True})
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert reply.text.endswith("data: [DONE]\n\n")
    chunks = events(reply.text)
    assert said(reply.text) == GOOD
    assert "SECRET-DRAFT" not in reply.text
    assert "HIDDEN-ANALYSIS" not in reply.text
    assert [chunk["object"] for chunk in chunks] == ["chat.completion.chunk"] * len(chunks)
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    *_, finish, usage = chunks
    assert finish["choices"][0] == {"index": 0, "delta": {}, "finish_reason": "stop"}
    assert finish["reagent"]["score"] == 0.9
    assert (usage["choices"], usage["usage"]["total_tokens"]) == ([], 30)
    assert sum("reagent" in chunk for chunk in chunks) == 1


def test_without_include_usage_there_is_none_and_the_log_knows_it(proxy: Proxy) -> None:
    reply = proxy.ask(stream=True, headers={"X-Request-Id": "no-usage-wanted"})
    assert all("usage" not in chunk for chunk in events(reply.text))
    line = until(lambda: next((line for line in proxy.log().splitlines() if "id=no-usage-wanted" in line), None))
    assert "prompt_tokens=20 completion_tokens=10" in line
    assert "run=answered attempts=2 stop=rounds" in line


def test_drafts_are_shown_beside_the_answer_and_taken_back(proxy: Proxy) -> None:
    reply = proxy.ask(stream=True, reagent={"stream": "drafts"})
    chunks = events(reply.text)
    told = [chunk["reagent"] for chunk in chunks if "event" in chunk.get("reagent", {})]
    kinds = [(one["event"], one["attempt"]) for one in told if one["event"] != "draft"]
    assert kinds == [("retract", 0), ("final", 1)]
    retract = next(one for one in told if one["event"] == "retract")
    assert (retract["critique"], retract["score"]) == ("Count the white fiber as well.", 0.2)
    for attempt, text in ((0, DRAFT), (1, GOOD)):
        shown = [one["delta"] for one in told if one["event"] == "draft" and one["attempt"] == attempt]
        assert "".join(shown) == text
    assert said(reply.text) == GOOD
    assert len({chunk["id"] for chunk in chunks}) == 1
    roles = [chunk["choices"][0]["delta"].get("role") for chunk in chunks if chunk["choices"]]
    assert roles.count("assistant") == 1
    assert "HIDDEN-ANALYSIS" not in reply.text
    assert chunks[-1]["reagent"]["status"] == "answered"


def test_a_worse_revision_is_taken_back_too(upstream: ChatServer) -> None:
    with proxy_thread(upstream.base_url, ScriptedJudge([(0.6, "More."), (0.3, "Worse.")])) as running:
        reply = running.ask(stream=True, reagent={"stream": "drafts"})
    told = [chunk["reagent"] for chunk in events(reply.text) if "event" in chunk.get("reagent", {})]
    kinds = [(one["event"], one["attempt"]) for one in told if one["event"] != "draft"]
    assert kinds == [("retract", 0), ("retract", 1), ("final", 0)]
    assert said(reply.text) == DRAFT


def test_drafts_come_while_they_are_written() -> None:
    """The first word is seen, and its reader gone, long before the upstream has written the last."""
    with (
        ChatServer([Reply("word " * 500, pause=0.1)]) as server,
        proxy_thread(server.base_url, ScriptedJudge([1.0])) as running,
    ):
        body = {"messages": [{"role": "user", "content": "q"}], "stream": True, "reagent": {"stream": "drafts"}}
        with running.http.stream("POST", f"{running.url}/chat/completions", json=body) as reply:
            first = next(line for line in reply.iter_lines() if line.startswith("data: {"))
        assert server.wait_disconnect()
    told = json.loads(first[6:])["reagent"]
    assert (told["event"], told["attempt"]) == ("draft", 0)
    assert told["delta"].startswith("word ")
    assert len(told["delta"]) < 1_000


def test_tool_calls_are_streamed_as_clients_expect() -> None:
    reply = Reply("Let me look.", tool_calls=CALLS, finish_reason="tool_calls")
    for mode in ("final_only", "drafts"):
        with ChatServer([reply]) as server, proxy_thread(server.base_url, ScriptedJudge([1.0])) as running:
            chunks = events(running.ask(stream=True, tools=TOOLS, reagent={"stream": mode}).text)
        parts = [part for chunk in chunks for part in chunk["choices"][0]["delta"].get("tool_calls", ())]
        got = [(part["index"], part["id"], part["function"]["name"], part["function"]["arguments"]) for part in parts]
        expected = [(at, call.id, call.name, call.arguments_text) for at, call in enumerate(CALLS)]
        assert got == expected
        assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"
        assert chunks[-1]["reagent"]["why"] == "tool calls"


def test_several_choices_in_one_stream(proxy: Proxy) -> None:
    for mode in ("final_only", "drafts"):
        reply = proxy.ask(stream=True, n=3, stream_options={"include_usage": True}, reagent={"stream": mode})
        chunks = events(reply.text)
        assert [said(reply.text, index) for index in range(3)] == [GOOD] * 3
        assert chunks[-1]["usage"]["total_tokens"] == 90
        assert len({chunk["id"] for chunk in chunks}) == 1
        assert sum("status" in chunk.get("reagent", {}) for chunk in chunks) == 3


def test_bare_streams_pass_through_byte_by_byte(proxy: Proxy, upstream: ChatServer) -> None:
    asked = {"messages": [{"role": "user", "content": "q"}], "stream": True, "stream_options": {"include_usage": True}}
    with httpx.Client(trust_env=False) as direct:
        expected = direct.post(f"{upstream.base_url}/chat/completions", json={"model": "m", **asked})
    reply = proxy.http.post(f"{proxy.url}/chat/completions", json={"model": "m:bare", **asked})
    assert reply.content == expected.content
    assert upstream.requests[-1].body["model"] == "m"


def test_signs_of_life_are_comments(upstream: ChatServer) -> None:
    with (
        ChatServer([Reply(GOOD, delay=0.6)]) as server,
        proxy_thread(server.base_url, ScriptedJudge([1.0]), pace=Pace(keepalive=0.1)) as running,
    ):
        text = running.ask(stream=True).text
    assert text.count(": working\n\n") >= 2
    assert said(text) == GOOD


def test_what_fails_before_the_first_sign_of_life_has_a_status() -> None:
    with (
        ChatServer([Fault.status(429, retry_after=3)]) as server,
        proxy_thread(server.base_url, ScriptedJudge([1])) as p,
    ):
        reply = p.ask(stream=True)
    assert (reply.status_code, reply.headers["retry-after"]) == (429, "3")


def test_what_fails_later_is_an_event(upstream: ChatServer) -> None:
    release = threading.Event()

    def late(body: dict[str, Any]) -> Fault:
        assert release.wait(30)
        return Fault.status(400, body={"error": {"message": "too many words", "code": "words"}})

    with (
        ChatServer(late) as server,
        proxy_thread(server.base_url, ScriptedJudge([1.0]), pace=Pace(keepalive=0.1)) as running,
    ):
        body = {"messages": [{"role": "user", "content": "q"}], "stream": True}
        with running.http.stream("POST", f"{running.url}/chat/completions", json=body) as reply:
            assert reply.status_code == 200
            lines = reply.iter_lines()
            assert next(lines) == ": working"
            release.set()
            last = [line for line in lines if line.startswith("data: ")]
    assert json.loads(last[-1][6:])["error"]["message"] == "too many words"


def test_an_upstream_stream_that_breaks_off_is_no_answer() -> None:
    for fault in (Fault.truncated_body(), Fault.reset_mid_body()):
        with ChatServer([fault]) as server, proxy_thread(server.base_url, ScriptedJudge([1.0])) as running:
            assert running.ask(stream=True, reagent={"stream": "drafts"}).status_code == 502


def test_an_upstream_that_cannot_stream_still_shows_drafts() -> None:
    class NoStream(ChatServer):
        def _next(self, body: dict[str, Any]) -> Any:
            body.pop("stream", None)
            return super()._next(body)

    with NoStream(answering) as server, proxy_thread(server.base_url, ScriptedJudge([0.2, 0.9])) as running:
        text = running.ask(stream=True, reagent={"stream": "drafts"}).text
    told = [chunk["reagent"] for chunk in events(text) if "event" in chunk.get("reagent", {})]
    assert [one["event"] for one in told] == ["draft", "retract", "draft", "final"]
    assert said(text) == GOOD


def test_reasoning_and_logprobs_reach_the_caller() -> None:
    class WithLogprobs(Reply):
        def body(self, model: str) -> dict[str, Any]:
            whole = super().body(model)
            whole["choices"][0]["logprobs"] = {"content": [{"token": "x", "logprob": -0.1}]}
            return {**whole, "system_fingerprint": "fp"}

    reply = WithLogprobs(GOOD, reasoning="I count.")
    with ChatServer([reply]) as server, proxy_thread(server.base_url, ScriptedJudge([1.0])) as running:
        chunks = events(running.ask(stream=True).text)
        whole = running.ask().json()
    deltas = [chunk["choices"][0] for chunk in chunks]
    assert deltas[0]["delta"]["reasoning_content"] == "I count."
    assert deltas[1]["logprobs"] == whole["choices"][0]["logprobs"] == {"content": [{"token": "x", "logprob": -0.1}]}
    assert {chunk["system_fingerprint"] for chunk in chunks} == {"fp"}
