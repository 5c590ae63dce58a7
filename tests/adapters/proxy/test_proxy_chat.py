"""Chat requests that want a whole answer: policies, tools, choices, failures."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from proxy_server import DRAFT, GOOD, Proxy, answering, judging, proxy_thread, until
from reagent_adapters.proxy.app import Telling
from reagent_adapters.proxy.rules import Defaults, Rules

from reagent_sdk import Policy, RunLog
from reagent_sdk.messages import ToolCall
from reagent_sdk.testing import ChatServer, Fault, Reply, ScriptedJudge
from reagent_sdk.verdict import Verdict, VerdictStatus

LOOK = ToolCall.make("look", {"where": "robe"}, id="call-1")
TOOLS = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}]


@pytest.fixture(scope="module")
def upstream() -> Iterator[ChatServer]:
    with ChatServer(answering) as running:
        yield running


@pytest.fixture(scope="module")
def judge() -> Iterator[ChatServer]:
    with ChatServer(judging, model="judge") as running:
        yield running


@pytest.fixture(scope="module")
def proxy(upstream: ChatServer, judge: ChatServer) -> Iterator[Proxy]:
    with proxy_thread(upstream.base_url, judge.base_url) as running:
        yield running


def test_the_better_attempt_is_returned_and_nothing_of_the_rejected_one(proxy: Proxy) -> None:
    reply = proxy.ask()
    body = reply.json()
    assert body["choices"][0]["message"]["content"] == GOOD
    assert body["choices"][0]["finish_reason"] == "stop"
    assert (body["object"], body["model"]) == ("chat.completion", "test-model")
    report = body["reagent"]
    assert (report["status"], report["stop"], report["score"], report["chosen"]) == ("answered", "rounds", 0.9, 1)
    assert [one["score"] for one in report["attempts"]] == [0.2, 0.9]
    assert report["attempts"][0]["critique"] == "Count the white fiber as well."
    assert report["judge_usage"]["calls"] == 2
    assert body["usage"] == {"prompt_tokens": 20, "completion_tokens": 10, "total_tokens": 30}
    assert "SECRET-DRAFT" not in reply.text
    assert "HIDDEN-ANALYSIS" not in reply.text
    told = {name: value for name, value in reply.headers.items() if name.startswith("x-reagent")}
    assert told == {
        "x-reagent-status": "answered",
        "x-reagent-score": "0.9",
        "x-reagent-attempts": "2",
        "x-reagent-stop": "rounds",
    }


def test_analyses_are_shown_only_where_the_server_says_so(upstream: ChatServer, judge: ChatServer) -> None:
    with proxy_thread(upstream.base_url, judge.base_url, telling=Telling(analysis=True)) as running:
        report = running.ask().json()["reagent"]
    assert report["attempts"][0]["analysis"] == "HIDDEN-ANALYSIS"


def test_all_attempts_carry_the_fields_of_the_request(proxy: Proxy, upstream: ChatServer) -> None:
    before = len(upstream.requests)
    fields = {
        "temperature": 0.25,
        "logit_bias": {"5": -1},
        "response_format": {"type": "json_object"},
        "a_field_of_tomorrow": [1, {"two": None}],
        "user": "somebody",
    }
    proxy.ask(**fields, reagent={"rounds": 1})
    sent = [request.body for request in upstream.requests[before:]]
    assert len(sent) == 2
    for body in sent:
        assert {name: body[name] for name in fields} == fields
        assert set(body) == {"model", "messages", *fields}
    draft, revision = sent
    assert draft["messages"] == [{"role": "user", "content": "How many bolts?"}]
    assert revision["messages"][0] == draft["messages"][0]
    assert revision["messages"][1] == {"role": "assistant", "content": DRAFT}
    assert "Count the white fiber" in revision["messages"][2]["content"]


@pytest.mark.parametrize(
    ("model", "header", "field", "attempts"),
    [
        ("test-model", None, None, 2),
        ("test-model:rounds=0", None, None, 1),
        ("test-model:rounds=0", "rounds=1", None, 2),
        ("test-model:rounds=0", "rounds=1", {"rounds": 0}, 1),
        ("test-model", "rounds=0, keep=best", None, 1),
        ("test-model", None, "rounds=0", 1),
        ("test-model", "accept=0.1", None, 1),
        ("test-model:accept=0.1", None, {"accept": None}, 2),
        ("test-model:critique", None, None, 2),
    ],
)
def test_the_strongest_policy_wins(
    proxy: Proxy, upstream: ChatServer, model: str, header: str | None, field: Any, attempts: int
) -> None:
    given = {} if field is None else {"reagent": field}
    reply = proxy.ask(model=model, headers={"X-Reagent-Policy": header} if header else {}, **given)
    assert len(reply.json()["reagent"]["attempts"]) == attempts
    assert upstream.requests[-1].body["model"] == "test-model"


@pytest.mark.parametrize(
    ("given", "param", "told"),
    [
        ({"reagent": {"rounds": 99}}, "reagent", "at most 4, not 99"),
        ({"reagent": {"round": 1}}, "reagent", "round is not a setting"),
        ({"reagent": {"keep": "worst"}}, "reagent", "keep"),
        ({"reagent": {"stream": "all"}}, "reagent", "stream"),
        ({"reagent": {"seconds": -1}}, "reagent", "seconds"),
        ({"reagent": 7}, "reagent", "must be an object"),
        ({"reagent": "much"}, "reagent", "neither NAME=VALUE"),
        ({"reagent": {"on_low_score": "raise"}}, None, "needs to know what is low"),
        ({"model": "test-model:rounds=-1"}, "model", "rounds"),
        ({"headers": {"X-Reagent-Policy": "accept=2"}}, "X-Reagent-Policy", "accept"),
        ({"n": 0}, "n", "from 1 to 16"),
        ({"n": 99}, "n", "from 1 to 16"),
        ({"stream": "yes"}, "stream", "true or false"),
        ({"stream_options": 1}, "stream_options", "an object"),
        ({"messages": "hello"}, "messages", "list of chat messages"),
        ({"messages": []}, "messages", "list of chat messages"),
        ({"model": 3}, "model", "text"),
    ],
)
def test_a_wrong_request_is_told_which_field(proxy: Proxy, given: dict[str, Any], param: str, told: str) -> None:
    reply = proxy.ask(**given)
    assert reply.status_code == 400, reply.text
    error = reply.json()["error"]
    assert told in error["message"]
    assert error["param"] == param
    assert error["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("data", "kind", "status"),
    [(b"{", "application/json", 400), (b"[1]", "application/json", 400), (b"{}", "text/plain", 415)],
)
def test_what_is_no_json_object_is_refused(proxy: Proxy, data: bytes, kind: str, status: int) -> None:
    reply = proxy.http.post(f"{proxy.url}/chat/completions", content=data, headers={"Content-Type": kind})
    assert reply.status_code == status


def test_a_large_request_is_refused(upstream: ChatServer) -> None:
    with proxy_thread(upstream.base_url, ScriptedJudge([0.5]), body_bytes=2_000) as running:
        assert running.ask("word " * 1_000).status_code == 413
        assert running.ask("word").status_code == 200


def test_tool_calls_are_forwarded_and_the_final_answer_is_judged_with_all_the_work() -> None:
    def tool_user(body: dict[str, Any]) -> Reply:
        if body["messages"][-1]["role"] == "tool":
            return Reply(DRAFT)
        if "A reviewer read" in str(body["messages"][-1]["content"]):
            return Reply(GOOD)
        return Reply(tool_calls=[LOOK], finish_reason="tool_calls")

    scripted = ScriptedJudge([(0.2, "Look again."), 0.8])
    with ChatServer(tool_user) as server, proxy_thread(server.base_url, scripted) as running:
        first = running.ask(tools=TOOLS).json()
        assert first["reagent"]["status"] == "unjudged"
        assert first["reagent"]["why"] == "tool calls"
        called = first["choices"][0]["message"]
        assert called["tool_calls"] == [LOOK.model_dump(mode="json")]
        assert first["choices"][0]["finish_reason"] == "tool_calls"
        assert scripted.seen == []
        messages = [
            {"role": "system", "content": "Be exact."},
            {"role": "user", "content": "How many bolts?"},
            called,
            {"role": "tool", "tool_call_id": "call-1", "content": "two blue, one white"},
        ]
        second = running.ask(messages, tools=TOOLS, tool_choice="auto").json()
        sent = [request.body for request in server.requests]
    assert second["choices"][0]["message"]["content"] == GOOD
    (task, draft), (_, revised) = scripted.seen
    assert task.question == "How many bolts?"
    assert [message.role for message in task.history] == ["system"]
    assert [message.role for message in draft.messages] == ["assistant", "tool", "assistant"]
    assert draft.answer == DRAFT
    assert revised.messages[1].text == "two blue, one white"
    assert sent[1]["tool_choice"] == "auto"
    assert sent[2]["tool_choice"] == "none"
    assert sent[2]["tools"] == TOOLS


def test_a_revision_that_calls_tools_keeps_the_draft() -> None:
    def stubborn(body: dict[str, Any]) -> Reply:
        return Reply(DRAFT) if len(body["messages"]) == 1 else Reply(tool_calls=[LOOK], finish_reason="tool_calls")

    with ChatServer(stubborn) as server, proxy_thread(server.base_url, ScriptedJudge([0.2])) as running:
        body = running.ask(tools=TOOLS).json()
    assert body["choices"][0]["message"]["content"] == DRAFT
    assert body["reagent"]["stop"] == "revision_failed"
    assert "tool calls" in body["reagent"]["notes"][-1]


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]}],
        [{"role": "system", "content": "Say something wise."}],
        [{"role": "user", "content": "Go on:"}, {"role": "assistant", "content": "Once upon"}],
        [
            {"role": "user", "content": "q"},
            {"role": "assistant", "tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "f", "input": "x"}}]},
            {"role": "tool", "tool_call_id": "c", "content": "3"},
        ],
    ],
)
def test_unusual_conversations_are_judged_too(proxy: Proxy, messages: list[dict[str, Any]]) -> None:
    body = proxy.ask(messages).json()
    assert body["reagent"]["status"] == "answered"
    assert body["choices"][0]["message"]["content"] == GOOD


@pytest.mark.parametrize(
    "messages", [[{"role": "user", "content": ""}], [{"role": "user", "content": {"odd": 1}}], [7]]
)
def test_what_no_judge_can_read_is_passed_on_and_said(proxy: Proxy, upstream: ChatServer, messages: list[Any]) -> None:
    body = proxy.ask(messages).json()
    assert upstream.requests[-1].body["messages"] == messages
    assert body["reagent"]["status"] == "unjudged"
    assert "cannot read" in body["reagent"]["why"]


def test_several_choices_are_several_runs(proxy: Proxy, upstream: ChatServer) -> None:
    before = len(upstream.requests)
    reply = proxy.ask(n=3, seed=40)
    body = reply.json()
    assert [choice["index"] for choice in body["choices"]] == [0, 1, 2]
    assert [choice["message"]["content"] for choice in body["choices"]] == [GOOD] * 3
    assert body["usage"]["total_tokens"] == 3 * 30
    assert [report["status"] for report in body["reagent"]["choices"]] == ["answered"] * 3
    assert reply.headers["x-reagent-score"] == "0.9, 0.9, 0.9"
    sent = [request.body for request in upstream.requests[before:]]
    assert sorted(body["seed"] for body in sent) == [40, 40, 41, 41, 42, 42]
    assert all("n" not in body for body in sent)


def test_bare_requests_pass_through_as_they_are(proxy: Proxy, upstream: ChatServer) -> None:
    before = len(upstream.requests)
    reply = proxy.ask(model="test-model:bare", n=2, stream_options=None)
    with httpx.Client(trust_env=False) as direct:
        asked = {"model": "test-model", "messages": [{"role": "user", "content": "x"}]}
        expected = direct.post(f"{upstream.base_url}/chat/completions", json=asked)
    assert reply.content == expected.content
    assert upstream.requests[before].body["n"] == 2
    assert len(upstream.requests) == before + 2


def test_a_failing_judge_costs_nobody_the_draft(upstream: ChatServer) -> None:
    outcomes = [VerdictStatus.UNPARSEABLE, RuntimeError("http://10.0.0.5 said no"), VerdictStatus.ABSTAINED]
    with proxy_thread(upstream.base_url, ScriptedJudge(outcomes)) as running:
        replies = [running.ask() for _ in outcomes]
        assert running.counted("judge_failures_total", "unavailable") == 1
        assert running.counted("judge_failures_total", "abstained") == 1
        assert running.counted("runs_total", "unjudged", "judge_failed") == 2
    for reply in replies:
        assert reply.status_code == 200
        assert reply.json()["choices"][0]["message"]["content"] == DRAFT
        assert reply.headers["x-reagent-status"] == "unjudged"
        assert "x-reagent-score" not in reply.headers
        assert reply.json()["reagent"]["score"] is None
        assert "10.0.0.5" not in reply.text


def test_callers_may_ask_for_errors_instead(upstream: ChatServer) -> None:
    with proxy_thread(upstream.base_url, ScriptedJudge([0.1])) as running:
        low = running.ask(reagent={"on_low_score": "raise", "floor": 0.5})
        kept = running.ask(reagent={"floor": 0.5})
    assert (low.status_code, low.json()["error"]["code"]) == (422, "low_score")
    assert low.headers["x-reagent-status"] == "abstained"
    assert "SECRET-DRAFT" not in low.text
    assert kept.json()["reagent"]["status"] == "abstained"
    with proxy_thread(upstream.base_url, ScriptedJudge([VerdictStatus.UNAVAILABLE])) as running:
        failed = running.ask(reagent={"on_judge_failure": "raise"})
    assert (failed.status_code, failed.json()["error"]["code"]) == (503, "judge_failed")


OVERFLOW = {"error": {"message": "This model's maximum context length is 10 tokens", "type": "BadRequestError"}}
NO_MODEL = {"error": {"message": "no such model", "type": "not_found", "code": "model_not_found", "param": "model"}}


@pytest.fixture(scope="module")
def faulty() -> Iterator[tuple[Proxy, list[Fault]]]:
    """A proxy whose upstream answers with the last fault of a list."""
    faults: list[Fault] = []
    with (
        ChatServer(lambda body: faults[-1]) as server,
        proxy_thread(server.base_url, ScriptedJudge([0.5])) as running,
    ):
        yield running, faults


@pytest.mark.parametrize(
    ("fault", "status", "code", "told"),
    [
        (Fault.status(400, body=OVERFLOW), 400, "context_length_exceeded", "maximum context length"),
        (Fault.status(404, body=NO_MODEL), 404, "model_not_found", "no such model"),
        (Fault.status(429, retry_after=9), 429, "429", "at its limit"),
        (Fault.status(503, retry_after=7), 503, None, "cannot answer now"),
        (Fault.status(500, body={"error": {"message": "Traceback /secret/path"}}), 502, None, "status 500"),
        (Fault.status(401), 502, None, "own key"),
        (Fault.status(302), 502, None, "status 302"),
        (Fault.reset_mid_body(), 502, None, "broke off"),
        (Fault.empty_body(), 502, None, "not a chat completion"),
        (Fault.invalid_json(), 502, None, "not a chat completion"),
        (Fault.wrong_content_type(), 502, None, "not a chat completion"),
    ],
)
@pytest.mark.parametrize("mode", ["critique", "bare", "drafts"])
def test_what_the_upstream_refuses(
    faulty: tuple[Proxy, list[Fault]], fault: Fault, status: int, code: str | None, told: str, mode: str
) -> None:
    field = {"stream": "drafts"} if mode == "drafts" else {"mode": mode}
    running, faults = faulty
    faults.append(fault)
    counted = ("requests_total", "/v1/chat/completions", str(status))
    before = running.counted(*counted)
    reply = running.ask(reagent=field, stream=mode == "drafts")
    if mode == "bare" and fault.kind in ("empty_body", "invalid_json"):
        assert reply.status_code == 200  # passed through as it is
        return
    until(lambda: running.counted(*counted) == before + 1)
    assert reply.status_code == status, reply.text
    error = reply.json()["error"]
    assert error["code"] == code
    assert told in error["message"] or (mode == "bare" and "not JSON" in error["message"])
    assert "/secret" not in reply.text
    assert reply.headers.get("retry-after") == (str(fault.retry_after) if fault.retry_after else None)


def test_an_upstream_that_goes_away() -> None:
    with ChatServer(["x"]) as server:
        address = server.base_url
        with proxy_thread(address, ScriptedJudge([1.0])) as running:
            assert running.http.get(f"{running.root}/ready").json()["status"] == "ready"
            server.__exit__(None, None, None)
            reply = running.ask()
            assert (reply.status_code, reply.headers["retry-after"]) == (503, "2")
            until(lambda: running.http.get(f"{running.root}/ready").status_code == 503)
            assert running.http.get(f"{running.root}/health").status_code == 200
            assert running.counted("upstream_up") == 0


def test_when_the_time_is_up_the_draft_is_returned_if_there_is_one() -> None:
    def slow_to_revise(body: dict[str, Any]) -> Reply:
        return Reply(DRAFT) if len(body["messages"]) == 1 else Reply(GOOD, delay=60)

    with ChatServer(slow_to_revise) as server, proxy_thread(server.base_url, ScriptedJudge([0.2])) as running:
        body = running.ask(reagent={"seconds": 1.5}).json()
        assert server.wait_disconnect()
    assert body["choices"][0]["message"]["content"] == DRAFT
    assert body["reagent"]["stop"] == "budget"
    with ChatServer([Reply(GOOD, delay=60)]) as server, proxy_thread(server.base_url, ScriptedJudge([0.2])) as running:
        replies = [running.ask(reagent={"seconds": 0.3, "mode": mode}) for mode in ("critique", "bare")]
    assert [reply.status_code for reply in replies] == [504, 504]


def test_a_judge_that_hangs_is_given_up(upstream: ChatServer) -> None:
    with ChatServer([Fault.hang()]) as judge, proxy_thread(upstream.base_url, judge.base_url, judge_seconds=0.3) as p:
        body = p.ask().json()
    assert body["reagent"]["status"] == "unjudged"
    assert body["choices"][0]["message"]["content"] == DRAFT


def test_keep_last_is_the_papers_loop(proxy: Proxy) -> None:
    report = proxy.ask(reagent={"keep": "last"}).json()["reagent"]
    assert [one["status"] for one in report["attempts"]] == ["scored", "unjudged"]
    assert report["chosen"] == 1


def test_a_gate_spares_the_revision(upstream: ChatServer) -> None:
    with proxy_thread(upstream.base_url, ScriptedJudge([0.8], gate=0.7)) as running:
        report = running.ask().json()["reagent"]
    assert (report["status"], report["stop"], len(report["attempts"])) == ("accepted", "accepted", 1)


def test_runs_are_kept_only_in_a_log_that_was_asked_for(upstream: ChatServer, tmp_path: Any) -> None:
    log = RunLog(tmp_path / "runs.jsonl")
    with proxy_thread(upstream.base_url, ScriptedJudge([0.2, 0.9]), telling=Telling(record=log)) as running:
        report = running.ask().json()["reagent"]
        assert DRAFT not in running.log()
        assert "How many" not in running.log()
    (run,) = log.read()
    assert run.id == report["run_id"]
    assert run.attempts[0].answer == DRAFT


def test_the_servers_own_defaults(upstream: ChatServer) -> None:
    defaults = Defaults(Rules(Policy(rounds=0)), max_rounds=2)
    scripted = ScriptedJudge([Verdict.of(0.3, "shorter"), Verdict.of(0.4, "longer")])
    with proxy_thread(upstream.base_url, scripted, defaults=defaults) as running:
        assert len(running.ask().json()["reagent"]["attempts"]) == 1
        assert running.ask(reagent={"rounds": 3}).status_code == 400


def test_an_answer_in_any_language_arrives_whole(judge: ChatServer) -> None:
    text = "Drei Ballen – 三匹。 \U0001f9f5 \ud83d half"
    with ChatServer([Reply(text)]) as server, proxy_thread(server.base_url, judge.base_url) as running:
        reply = running.ask(reagent={"rounds": 0})
    assert json.loads(reply.content)["choices"][0]["message"]["content"] == text.replace("\ud83d", "�")
