"""`reagent judge serve` in front of a server that runs already: keys, limits, faults, drain."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from judge_server import KEY, JudgeServer, judge_server, until

from reagent_sdk import Task, Verdict, VerdictStatus
from reagent_sdk.cli import main
from reagent_sdk.specs import judge_for
from reagent_sdk.testing.server import ChatServer, Fault, Reply, refused_url
from reagent_sdk.trajectory import Trajectory

VERDICT = "<analysis>\nfor me\n</analysis>\n<critique>\nShow the steps.\n</critique>\n<score>0.4</score>"
USAGE = {"prompt_tokens": 100, "completion_tokens": 20, "prompt_tokens_details": {"cached_tokens": 60}}
OVERFLOW = {"error": {"message": "This model's maximum context length is 10 tokens", "type": "BadRequestError"}}
SECRET = "/home/somebody/weights"

ANSWERS: dict[str, Reply | Fault] = {
    "slow": Reply(VERDICT, usage=USAGE, delay=1.5),
    "very slow": Reply(VERDICT, usage=USAGE, delay=5),
    "hang": Fault.hang(),
    "busy": Fault.status(503, retry_after=7),
    "limit": Fault.status(429, retry_after=9),
    "broken": Fault.status(500, body={"error": {"message": f"Traceback in {SECRET}"}}),
    "page": Fault.status(502, body=f"<html>nginx {SECRET}</html>"),
    "overflow": Fault.status(400, body=OVERFLOW),
    "reset": Fault.reset_mid_body(),
    "short": Fault.truncated_body(),
    "html": Fault.wrong_content_type(),
    "huge": Fault.huge(3 * 2**20),
    "refused key": Fault.status(401),
}


def answer(body: dict[str, Any]) -> Reply | Fault:
    return ANSWERS.get(body["messages"][-1]["content"], Reply(VERDICT, usage=USAGE))


@pytest.fixture(scope="module")
def upstream() -> Iterator[ChatServer]:
    with ChatServer(answer, model="judge-7b", owned_by="vllm") as running:
        yield running


@pytest.fixture(scope="module")
def served(upstream: ChatServer) -> Iterator[JudgeServer]:
    words = ["--api-key-env", "SERVE_KEY", "--max-body", "10000", "--max-in-flight", "64", "--backend-key-env", "UP"]
    with judge_server(upstream.base_url, *words, UP="key-of-the-upstream") as running:
        assert "judge-7b (attach) at http://127.0.0.1:" in running.announced()
        yield running


def test_our_judge_reads_verdicts_through_it(served: JudgeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    async def judged() -> Verdict:
        judge = judge_for(served.url)
        try:
            return await judge.judge(
                Task(question="What is 2 + 2?"), Trajectory.from_openai([{"role": "assistant", "content": "5"}])
            )
        finally:
            await judge.aclose()

    monkeypatch.setenv("REAGENT_API_KEY", KEY)
    verdict = asyncio.run(judged())
    assert (verdict.status, verdict.score, verdict.critique) == (VerdictStatus.SCORED, 0.4, "Show the steps.")
    assert verdict.usage.cached_tokens == 60
    monkeypatch.setenv("REAGENT_API_KEY", "another")
    refused = asyncio.run(judged())
    assert refused.status is VerdictStatus.UNAVAILABLE
    assert "the key was refused" in refused.reason


def test_the_upstream_gets_its_own_key_and_the_request_as_it_was(served: JudgeServer, upstream: ChatServer) -> None:
    served.ask("as it was", structured_outputs={"grammar": "root ::= x"}, temperature=0.25)
    request = upstream.requests[-1]
    assert request.headers["authorization"] == "Bearer key-of-the-upstream"
    assert request.body["structured_outputs"] == {"grammar": "root ::= x"}
    assert request.body["temperature"] == 0.25
    assert KEY not in str(request.headers)


@pytest.mark.parametrize("key", [None, "wrong", KEY[:-1], KEY + "x"])
def test_without_the_key_nothing_reaches_the_upstream(served: JudgeServer, upstream: ChatServer, key: str) -> None:
    before = len(upstream.requests)
    reply = served.ask(key=key)
    assert reply.status_code == 401
    assert reply.headers["WWW-Authenticate"] == "Bearer"
    assert reply.json()["error"]["code"] == "invalid_api_key"
    assert len(upstream.requests) == before
    assert served.get("/v1/models").status_code == 401


@pytest.mark.parametrize("path", ["/health", "/ready", "/metrics"])
def test_probes_need_no_key(served: JudgeServer, path: str) -> None:
    assert served.get(path).status_code == 200


def test_the_list_of_models_names_the_engine_and_no_paths(served: JudgeServer) -> None:
    listed = served.get("/v1/models", headers={"Authorization": f"Bearer {KEY}"}).json()
    assert listed == {"object": "list", "data": [{"id": "judge-7b", "object": "model", "owned_by": "vllm"}]}


@pytest.mark.parametrize(
    ("asked", "status", "retry_after", "told"),
    [
        ("busy", 503, "7", "cannot answer now"),
        ("limit", 429, "9", "at its limit"),
        ("broken", 502, None, "failed with status 500"),
        ("page", 502, None, "failed with status 502"),
        ("overflow", 400, None, "maximum context length is 10 tokens"),
        ("reset", 502, None, "broke off its reply"),
        ("short", 502, None, "broke off its reply"),
        ("html", 502, None, "text/html, not JSON"),
        ("refused key", 502, None, "this server's own key"),
    ],
)
def test_faults_become_errors_in_openais_shape(
    served: JudgeServer, asked: str, status: int, retry_after: str | None, told: str
) -> None:
    reply = served.ask(asked)
    assert reply.status_code == status
    assert reply.headers.get("Retry-After") == retry_after
    error = reply.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert told in error["message"]
    assert SECRET not in reply.text
    assert error["code"] == ("context_length_exceeded" if asked == "overflow" else None)


def test_a_reply_beyond_the_read_ahead_is_streamed_whole(served: JudgeServer) -> None:
    assert len(served.ask("huge").json()["choices"][0]["message"]["content"]) == 3 * 2**20


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"Content-Type": "application/json"}, b'{"messages": "' + b"x" * 10_000 + b'"}', 413),
        ({"Content-Type": "application/json", "Content-Length": str(2**30)}, b"", 413),
        ({"Content-Type": "text/plain"}, b"{}", 415),
        ({}, b"{}", 415),
    ],
)
def test_bodies_that_are_not_taken(served: JudgeServer, headers: dict[str, str], body: bytes, status: int) -> None:
    headers = {"Authorization": f"Bearer {KEY}", **headers}
    host, port = served.root.removeprefix("http://").split(":")
    given = {"Host": f"{host}:{port}", "Content-Length": str(len(body)), **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(f"POST /v1/chat/completions HTTP/1.1\r\n{head}\r\n".encode() + body)
        assert connection.recv(65536).startswith(f"HTTP/1.1 {status}".encode())


def test_a_chunked_body_cannot_pass_the_limit(served: JudgeServer) -> None:
    def pieces() -> Iterator[bytes]:
        yield from [b"x" * 4_000] * 5

    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    reply = served.http.post(f"{served.url}/chat/completions", content=pieces(), headers=headers)
    assert reply.status_code == 413
    assert "larger than 10000 bytes" in reply.json()["error"]["message"]


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/v1/nope", 404), ("GET", "/", 404), ("GET", "/v1/chat/completions", 405)]
)
def test_unknown_paths_have_openais_errors_too(served: JudgeServer, method: str, path: str, status: int) -> None:
    reply = served.http.request(method, served.root + path, headers={"Authorization": f"Bearer {KEY}"})
    assert reply.status_code == status
    assert reply.json()["error"]["message"]


def test_no_other_origin_is_allowed(served: JudgeServer) -> None:
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    reply = served.http.options(f"{served.url}/chat/completions", headers={**asked, "Authorization": f"Bearer {KEY}"})
    assert reply.status_code == 405
    assert not [name for name in reply.headers if name.startswith("access-control")]


def test_sixty_four_at_a_time_and_the_next_one_is_refused(served: JudgeServer) -> None:
    before = served.counted("requests_total", "/v1/chat/completions", "200")
    with ThreadPoolExecutor(64) as pool:
        replies = [pool.submit(served.ask, "very slow") for _ in range(64)]
        until(lambda: served.counted("in_flight") == 64)
        one_more = served.ask()
        assert one_more.status_code == 429
        assert one_more.headers["Retry-After"] == "1"
        assert {reply.result().status_code for reply in replies} == {200}
    assert served.counted("in_flight") == 0
    assert served.counted("requests_total", "/v1/chat/completions", "200") == before + 64


def test_metrics_count_requests_and_tokens(served: JudgeServer) -> None:
    before = served.metrics()
    for asked in ("fine", "fine", "broken"):
        served.ask(asked)
    served.get("/v1/%0Amade-up")
    after = served.metrics()

    def more(*name: str) -> float:
        sample = (f"reagent_serve_{name[0]}", *name[1:])
        return after[sample] - before.get(sample, 0.0)

    assert more("requests_total", "/v1/chat/completions", "200") == 2
    assert more("requests_total", "/v1/chat/completions", "502") >= 1
    assert more("request_seconds_count", "/v1/chat/completions") == 3
    assert more("requests_total", "other", "401") == 1
    assert [more("tokens_total", kind) for kind in ("prompt", "completion", "cached")] == [200, 40, 120]
    assert after["reagent_serve_backend_up", "attach"] == 1
    assert after["reagent_serve_draining",] == 0


def test_a_caller_that_leaves_ends_the_work(served: JudgeServer, upstream: ChatServer) -> None:
    before = served.counted("requests_total", "/v1/chat/completions", "499")
    with pytest.raises(httpx.ReadTimeout):
        served.http.post(
            f"{served.url}/chat/completions",
            json={"messages": [{"role": "user", "content": "hang"}]},
            headers={"Authorization": f"Bearer {KEY}"},
            timeout=0.5,
        )
    assert upstream.wait_disconnect()
    until(lambda: served.counted("requests_total", "/v1/chat/completions", "499") == before + 1)
    assert served.counted("in_flight") == 0


def test_the_log_tells_what_happened_and_nothing_of_its_contents(served: JudgeServer) -> None:
    served.ask("a word that must not be logged")
    line = until(lambda: [line for line in served.log if "path=/v1/chat/completions status=200" in line])[-1]
    for part in (" request method=POST ", " ms=", "prompt_tokens=100", "completion_tokens=20", "cached_tokens=60"):
        assert part in line
    log = "\n".join(served.log)
    for hidden in ("must not be logged", "Show the steps", KEY, "key-of-the-upstream", "made-up", "path=/ready"):
        assert hidden not in log


def test_requests_under_way_are_finished_before_the_end(upstream: ChatServer) -> None:
    """The address of a draining server still answers, and tells everybody else to go elsewhere."""
    with judge_server(upstream.base_url) as server, ThreadPoolExecutor(4) as pool:
        server.announced()
        under_way = [pool.submit(server.ask, "slow", key=None) for _ in range(4)]
        until(lambda: server.counted("in_flight") == 4)
        server.tell(signal.SIGTERM)
        until(lambda: server.get("/ready").status_code == 503)
        assert server.get("/ready").json() == {"status": "draining"}
        assert server.get("/health").status_code == 200
        assert server.counted("draining") == 1
        late = server.ask(key=None)
        assert (late.status_code, late.headers["Connection"], late.headers["Retry-After"]) == (503, "close", "2")
        assert [reply.result().json()["choices"][0]["message"]["content"] for reply in under_way] == [VERDICT] * 4
        assert server.ended() == 0
    assert "stopped" in server.log[-1]


def test_what_does_not_finish_in_time_is_broken_off(upstream: ChatServer) -> None:
    with judge_server(upstream.base_url, "--drain-seconds", "0.3") as server, ThreadPoolExecutor(1) as pool:
        server.announced()
        hanging = pool.submit(server.ask, "hang", key=None)
        until(lambda: server.counted("in_flight") == 1)
        server.tell(signal.SIGINT)
        assert server.ended() == 0
        assert isinstance(hanging.exception(), httpx.HTTPError) or hanging.result().status_code >= 500
    assert any("drained broken_off=1" in line for line in server.log)


def test_a_second_signal_ends_at_once(upstream: ChatServer) -> None:
    with judge_server(upstream.base_url) as server, ThreadPoolExecutor(1) as pool:
        server.announced()
        hanging = pool.submit(server.ask, "hang", key=None)
        until(lambda: server.counted("in_flight") == 1)
        server.tell(signal.SIGTERM)
        until(lambda: any(" draining " in line for line in server.log))
        server.tell(signal.SIGTERM)
        assert server.ended() == 128 + signal.SIGTERM
        assert isinstance(hanging.exception(), httpx.HTTPError)


def test_an_upstream_that_comes_later_and_a_request_that_takes_too_long() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
    with judge_server(f"http://127.0.0.1:{port}/v1#other-name", "--request-seconds", "1", "--json") as server:
        assert until(lambda: server.get("/ready").status_code == 503)
        assert server.get("/ready").json() == {"status": "loading"}
        refused = server.ask(key=None)
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
        with _listening_at(port):
            told = json.loads(server.announced())
            assert (told["url"], told["engine"], told["model"]) == (server.url, "attach", "other-name")
            assert [row["id"] for row in server.get("/v1/models").json()["data"]] == ["other-name", "listed"]
            slow = server.ask(key=None)
            assert slow.status_code == 504
            assert "longer than 1 seconds" in slow.json()["error"]["message"]
        gone = server.ask(key=None)
        assert gone.status_code == 503
        assert server.get("/ready").json() == {"status": "down"}


class _listening_at:  # noqa: N801 - reads as a function
    """A server at a given port that lists models and never completes anything."""

    def __init__(self, port: int) -> None:
        from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

        over = self._over = threading.Event()

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                body = json.dumps({"data": [{"id": "listed"}, {"id": "other-name"}]}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                over.wait()

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


# --- the command line ---


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--host", "0.0.0.0"], "0.0.0.0 is reached from other machines: pass --api-key-env"),  # noqa: S104
        (["--api-key-env", "NOT_SET"], "$NOT_SET is not set"),
        (["--api-key-env", "SERVE_KEY", "--no-auth"], "contradicts the key"),
        (["--api-key-file", "/nowhere"], "cannot read the key file /nowhere"),
        (["local:no-such-model"], "unknown model 'no-such-model'"),
        (["openai/gpt-5"], "'openai/gpt-5' cannot be served"),
        (["hf:org/judge"], "this machine has no GPU; pass --engine vllm"),
        (["hf:org/judge", "--engine", "vllm"], "vLLM is not installed here; install it in an environment of its own"),
        (["hf:org/judge", "--engine", "vllm", "--vllm-python", "/nowhere"], "/nowhere cannot import vllm"),
        (["hf:org/judge", "--engine", "vllm", "--", "--api-key", "x"], "--api-key is for the front to say"),
        (["hf:org/judge", "--engine", "vllm", "--", "--reasoning_parser=x"], "takes the analysis out"),
        (["hf:org/judge", "--engine", "vllm", "--lora", "x"], "--lora 'x' is not NAME=FOLDER"),
        (["hf:org/judge", "--engine", "vllm", "--lora", "x=/nowhere"], "/nowhere is no LoRA adapter"),
        (["http://127.0.0.1:1/v1", "--lora", "x=y"], "are for vLLM, and the engine is attach"),
        (["local", "--engine", "attach"], "--engine attach needs a judge of the form http://HOST:PORT/v1"),
    ],
)
def test_what_cannot_work_is_one_line_and_exit_code_2(
    words: list[str], told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("SERVE_KEY", KEY)
    assert main(["judge", "serve", "--port", "0", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert told in err


def test_an_address_in_use_is_one_line_and_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, refused_url() as url:
        port = str(taken.getsockname()[1])
        assert main(["judge", "serve", url, "--port", port]) == 2
    told = f"error: 127.0.0.1:{port} is in use; pass another --port, or --port 0 for a free one\n"
    assert capsys.readouterr() == ("", told)


def test_without_keys_only_localhost_is_answered(upstream: ChatServer) -> None:
    """A web page whose name was made to mean 127.0.0.1 is told from the owner by the name."""
    with judge_server(upstream.base_url) as server:
        server.announced()
        for name, status in (("evil.example", 403), ("localhost:1", 200), ("[::1]:9", 200), ("127.0.0.1.nip.io", 403)):
            assert server.get("/v1/models", headers={"Host": name}).status_code == status


def test_help_shows_the_engines_and_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["judge", "serve", "--help"]) == 0
    out = capsys.readouterr().out
    for part in ("embedded", "vllm", "attach", "--drain-seconds", "--api-key-env", "reagent judge serve hf:ORG/JUDGE"):
        assert part in out
