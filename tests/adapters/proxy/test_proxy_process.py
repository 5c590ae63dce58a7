"""`reagent proxy` as users start it: real weights, other upstreams, keys, its end, and wrong options."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from proxy_server import DRAFT, GOOD, answering, events, judging, proxy_process, proxy_thread, said, until
from reagent_adapters.proxy.accounts import Accounts, KeyBook
from reagent_adapters.proxy.app import Doors

from reagent_sdk import models
from reagent_sdk.cli import main
from reagent_sdk.testing import ChatServer, Fault, Reply, ScriptedJudge

KEY = "rk-" + "0123456789abcdef" * 4


@pytest.fixture
def upstream() -> Iterator[ChatServer]:
    with ChatServer(answering) as running:
        yield running


@pytest.fixture
def judge() -> Iterator[ChatServer]:
    with ChatServer(judging, model="judge") as running:
        yield running


@pytest.mark.real_model
def test_real_weights_answer_and_judge() -> None:
    """One small model drafts, judges and revises; its drafts are seen while it writes them."""
    models.pull("smollm2-135m-instruct", report=lambda line: sys.stderr.write(f"{line}\n"))
    with proxy_process("--upstream", "local", "--judge", "local") as proxy:
        assert "agent-rrm-tiny" in proxy.told["caveat"]
        reply = proxy.http.post(
            f"{proxy.url}/chat/completions",
            json={
                "messages": [{"role": "user", "content": "What is 15% of 80?"}],
                "max_tokens": 12,
                "temperature": 0,
                "stream": True,
                "stream_options": {"include_usage": True},
                "reagent": {"stream": "drafts"},
            },
            timeout=250,
        )
    chunks = events(reply.text)
    report = next(chunk["reagent"] for chunk in chunks if "status" in chunk.get("reagent", {}))
    assert report["attempts"][0]["status"] == "scored", report
    assert report["notes"], "the caveat of so small a judge"
    drafts = [one["reagent"] for one in chunks if one.get("reagent", {}).get("event") == "draft"]
    final = "".join(one["delta"] for one in drafts if one["attempt"] == report["chosen"])
    assert said(reply.text) == final
    assert len([one for one in drafts if one["attempt"] == 0]) > 3
    assert chunks[-1]["usage"]["completion_tokens"] >= 12
    assert report["judge_usage"]["completion_tokens"] > 20


@pytest.mark.filterwarnings("ignore")
def test_a_provider_of_litellm_as_the_upstream(
    upstream: ChatServer, judge: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOSTED_VLLM_API_BASE", upstream.base_url)
    monkeypatch.setenv("HOSTED_VLLM_API_KEY", "the-servers-own-key")
    with (
        ChatServer(["stolen"]) as elsewhere,
        proxy_thread("hosted_vllm/test-model", judge.base_url) as proxy,
    ):
        reply = proxy.ask(model="whatever", seed=7, api_base=elsewhere.base_url, base_url=elsewhere.base_url, top_k=3)
        body = reply.json()
        assert body["choices"][0]["message"]["content"] == GOOD
        assert body["reagent"]["score"] == 0.9
        assert body["usage"]["total_tokens"] == 30
        assert elsewhere.requests == [], "an address in a request must not be called"
        assert said(proxy.ask(stream=True).text) == GOOD
        bare = proxy.ask(stream=True, stream_options={"include_usage": True}, reagent="bare")
        assert said(bare.text) == DRAFT
        assert events(bare.text)[-1]["usage"]["total_tokens"] == 15
        assert [row["id"] for row in proxy.http.get(f"{proxy.url}/models").json()["data"]] == ["hosted_vllm/test-model"]
        embeddings = proxy.http.post(f"{proxy.url}/embeddings", json={"model": "m", "input": "x"})
        assert embeddings.status_code == 404
    sent = upstream.requests[0]
    assert (sent.body["model"], sent.body["seed"], sent.body["top_k"]) == ("test-model", 7, 3)
    assert sent.headers["authorization"] == "Bearer the-servers-own-key"


def test_one_model_of_an_address_takes_any_name(upstream: ChatServer, judge: ChatServer) -> None:
    with proxy_thread(f"{upstream.base_url}#the-one", judge.base_url) as proxy:
        assert proxy.ask(model="gpt-4o:critique").json()["choices"][0]["message"]["content"] == GOOD
        assert proxy.ask(model="gpt-4o:bare").status_code == 200
        assert [row["id"] for row in proxy.http.get(f"{proxy.url}/models").json()["data"]] == ["the-one"]
    assert {request.body["model"] for request in upstream.requests} == {"the-one"}


def test_callers_own_keys_go_to_the_upstream_and_nowhere_else(upstream: ChatServer, judge: ChatServer) -> None:
    def with_keys(app: Any, registry: Any) -> Any:
        return Accounts(app, pass_through=True)

    with proxy_thread(upstream.base_url, judge.base_url, doors=Doors(with_keys, local_only=False)) as proxy:
        assert proxy.ask().status_code == 401
        headers = {"Authorization": "Bearer sk-of-the-caller", "OpenAI-Organization": "org-1"}
        for mode in ("critique", "bare"):
            assert proxy.ask(headers=headers, reagent=mode).status_code == 200
        assert "sk-of-the-caller" not in proxy.log()
    for request in upstream.requests:
        assert request.headers["authorization"] == "Bearer sk-of-the-caller"
        assert request.headers["openai-organization"] == "org-1"
    assert all("sk-of-the-caller" not in str(request) for request in judge.requests)
    refusal = Fault.status(401, body={"error": {"message": "wrong key sk-of-the-caller", "code": "invalid_api_key"}})
    with (
        ChatServer([refusal]) as strict,
        proxy_thread(strict.base_url, ScriptedJudge([1.0]), doors=Doors(with_keys)) as p,
    ):
        reply = p.ask(headers=headers)
    assert (reply.status_code, reply.json()["error"]["code"]) == (401, "invalid_api_key")
    assert "sk-of-the-caller" not in reply.text


def test_keys_of_ours_with_a_budget(upstream: ChatServer, judge: ChatServer, tmp_path: Path) -> None:
    keys = tmp_path / "keys.toml"
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    keys.write_text(f'[[keys]]\nname = "team"\nsha256 = "{digest}"\ncalls = 6\n')
    words = ["--upstream", upstream.base_url, "--judge", judge.base_url, "--keys", str(keys)]
    with proxy_process(*words, "--ledger", str(tmp_path / "ledger"), REAGENT_UPSTREAM_KEY="the-servers-own") as proxy:
        assert proxy.ask().status_code == 401
        headers = {"Authorization": f"Bearer {KEY}"}
        assert proxy.ask(headers=headers).json()["reagent"]["score"] == 0.9
        second = proxy.ask(headers=headers).json()["reagent"]
        assert (second["stop"], len(second["attempts"])) == ("budget", 1)  # two calls were left
        third = proxy.ask(headers=headers)
        assert (third.status_code, third.json()["error"]["code"]) == (429, "insufficient_quota")
        assert proxy.metrics()["reagent_proxy_key_calls_total", "team"] == 6
        until(lambda: "caller=team" in proxy.log())
        assert KEY not in proxy.log()
    assert {request.headers["authorization"] for request in upstream.requests} == {"Bearer the-servers-own"}


def test_bare_streams_are_counted_where_a_budget_depends_on_it(
    upstream: ChatServer, judge: ChatServer, tmp_path: Path
) -> None:
    keys = tmp_path / "keys.toml"
    keys.write_text(f'[[keys]]\nname = "team"\nkey = "{KEY}"\ntokens = 20\n')
    headers = {"Authorization": f"Bearer {KEY}"}
    with proxy_process("--upstream", upstream.base_url, "--judge", judge.base_url, "--keys", str(keys)) as proxy:
        for _ in range(2):
            reply = proxy.ask(headers=headers, stream=True, reagent="bare")
            assert said(reply.text) == DRAFT
            assert all("usage" not in chunk for chunk in events(reply.text))
        assert proxy.ask(headers=headers, stream=True, reagent="bare").status_code == 429


def test_other_methods_pass_through(judge: ChatServer) -> None:
    from aiohttp import web

    seen: list[Any] = []

    async def embeddings(request: web.Request) -> web.Response:
        seen.append(await request.json())
        return web.json_response({"data": [{"embedding": [0.5]}], "usage": {"prompt_tokens": 3, "total_tokens": 3}})

    ready, done = threading.Event(), threading.Event()
    found: dict[str, Any] = {}

    async def serve() -> None:
        app = web.Application()
        app.add_routes([web.post("/v1/embeddings", embeddings)])
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        found["port"] = runner.addresses[0][1]
        ready.set()
        await asyncio.to_thread(done.wait)
        await runner.cleanup()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(30)
    try:
        with proxy_thread(f"http://127.0.0.1:{found['port']}/v1", judge.base_url) as proxy:
            reply = proxy.http.post(f"{proxy.url}/embeddings", json={"model": "small:critique", "input": "x", "d": 1})
            assert reply.json()["data"] == [{"embedding": [0.5]}]
            assert seen == [{"model": "small", "input": "x", "d": 1}]
            assert proxy.http.post(f"{proxy.url}/moderations", json={"input": "x"}).status_code == 404
            assert proxy.http.post(f"{proxy.url}/nothing", json={}).status_code == 404
            assert proxy.http.get(f"{proxy.url}/chat/completions").status_code == 405
    finally:
        done.set()
        thread.join(30)


def test_sigterm_lets_streams_end_and_takes_no_more(judge: ChatServer) -> None:
    arrived, release = threading.Event(), threading.Event()

    def gated(body: dict[str, Any]) -> Reply:
        arrived.set()
        assert release.wait(250)
        return Reply(GOOD)

    with (
        ChatServer(gated) as slow,
        # more time than a machine that stands still for a while takes
        proxy_process(
            *("--upstream", slow.base_url, "--judge", judge.base_url, "--rounds", "0", "--drain-seconds", "300")
        ) as proxy,
    ):
        replies: list[Any] = []
        asking = threading.Thread(target=lambda: replies.append(proxy.ask(stream=True)))
        asking.start()
        assert arrived.wait(30)
        proxy.process.send_signal(signal.SIGTERM)
        until(lambda: proxy.http.get(f"{proxy.root}/ready").json()["status"] == "draining")
        refused = proxy.ask()
        assert (refused.status_code, refused.headers["connection"]) == (503, "close")
        release.set()
        asking.join(60)
        assert said(replies[0].text) == GOOD
        assert proxy.process.wait(60) == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--upstream", "http://127.0.0.1:1/v1", "--host", "0.0.0.0"], "--keys FILE or --pass-through"),  # noqa: S104
        (["--upstream", "nonsense"], "does not name a model"),
        (["--upstream", "local:nonsense"], "unknown model"),
        (["--upstream", "http://127.0.0.1:1/v1", "--judge", "nonsense"], "unknown judge"),
        (["--upstream", "http://127.0.0.1:1/v1", "--keys", "/no/such/file"], "cannot read the key file"),
        (["--upstream", "http://127.0.0.1:1/v1", "--ledger", "x"], "pass --keys FILE as well, or --guest-limits FILE"),
        (["--upstream", "http://127.0.0.1:1/v1", "--guest-limits", "/no/such/file"], "cannot read the file of limits"),
        (
            ["--upstream", "http://127.0.0.1:1/v1", "--keys", "k", "--guest-limits", "g"],
            "--pass-through to let them in",
        ),
        (["--upstream", "http://127.0.0.1:1/v1", "--pass-through", "--no-auth"], "contradicts"),
        (["--upstream", "http://127.0.0.1:1/v1", "--cors-origin", "*"], "every web page"),
        (["--upstream", "http://127.0.0.1:1/v1", "--cors-origin", "app.example"], "https://app.example.com"),
        (["--upstream", "http://127.0.0.1:1/v1", "--price", "much"], "IN,OUT"),
        (["--upstream", "openai/gpt-4o", "--price", "1,2"], "for addresses"),
        (["--upstream", "http://127.0.0.1:1/v1", "--accept", "2"], "accept"),
        ([], "--upstream"),
    ],
)
def test_wrong_options_are_one_line_and_exit_code_2(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["proxy", "--port", "0", *words]) == 2
    captured = capsys.readouterr()
    assert told in captured.err
    assert captured.out == ""


def test_a_new_key_is_shown_once_with_its_entry(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    drawn = []
    for _ in range(2):
        assert main(["proxy", "--new-key"]) == 0
        captured = capsys.readouterr()
        key, entry = captured.out.split("\n", 1)
        assert captured.err == ""
        assert captured.out.count(key) == 1
        file = tmp_path / "keys.toml"
        file.write_text(entry)
        book = KeyBook.from_file(file)
        assert book.find(key.encode()) == book.entries[0]
        assert book.find(key.encode() + b"x") is None
        drawn.append(key)
    assert drawn[0] != drawn[1]
    assert main(["proxy", "--new-key", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert hashlib.sha256(told["key"].encode()).hexdigest() == told["sha256"]
    assert told["key"].startswith("rk-")


def test_help_shows_examples_and_loads_nothing_heavy() -> None:
    heavy = ["torch", "litellm", "aiohttp", "starlette", "uvicorn", "xllamacpp"]
    code = (
        "import sys; from reagent_sdk.cli import main; main(['proxy', '--help']);"
        f"sys.exit(', '.join(sorted(set({heavy!r}) & set(sys.modules))) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ))
    assert (done.returncode, done.stderr) == (0, "")
    assert "reagent proxy --upstream http://127.0.0.1:8000/v1 --judge http://127.0.0.1:8001/v1" in done.stdout


def test_the_announcement_for_people(upstream: ChatServer, judge: ChatServer) -> None:
    command = [sys.executable, "-m", "reagent_sdk", "proxy", "--port", "0"]
    process = subprocess.Popen(
        [*command, "--upstream", upstream.base_url, "--judge", judge.base_url],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    with process.stdout as out:
        line = out.readline()
        process.send_signal(signal.SIGINT)
        assert out.read() == ""
    assert process.wait(60) == 0
    assert line.startswith("proxy at http://127.0.0.1:")
    assert json.dumps(upstream.base_url)[1:-1] in line
