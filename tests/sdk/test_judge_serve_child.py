"""`reagent judge serve` with an engine as its child: a stand-in for vLLM, in the place of vLLM's own module."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from judge_server import FAKE_VLLM, JudgeServer, alive, judge_server, notes, until

from reagent_sdk.models.manifest import Manifest, write_manifest

WORDS = ("hf:org/judge", "--engine", "vllm", "--vllm-python", sys.executable)


def with_fake_vllm(told: Path, *words: str, **environment: str) -> AbstractContextManager[JudgeServer]:
    return judge_server(*words, PYTHONPATH=str(FAKE_VLLM), FAKE_VLLM_NOTES=str(told), **environment)


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Path]:
    """The stand-in's notes. Whatever a test does to the server, nothing of it may be left."""
    path = tmp_path / "notes.jsonl"
    yield path
    pids = [pid for note in notes(path, "start") for pid in note["pids"]]
    assert pids
    until(lambda: not any(map(alive, pids)), seconds=15)


def adapter(folder: Path, rank: int, base: str = "org/base") -> Path:
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps({"r": rank, "base_model_name_or_path": base}))
    return folder


def test_the_command_line_the_environment_and_the_metrics_of_vllm(told: Path) -> None:
    words = [*WORDS, "--api-key-env", "SERVE_KEY", "--backend-key-env", "OTHER", "--", "--max-model-len", "4096"]
    with with_fake_vllm(told, *words, OTHER="x", HF_TOKEN="hub") as server:
        assert "serving org/judge (vllm) at" in server.announced()
        reply = server.ask()
        samples = server.metrics()
        own_log = "\n".join(server.log)
    assert reply.json()["usage"]["completion_tokens"] == 2
    (start,) = notes(told, "start")
    given = start["arguments"]
    port = given[given.index("--port") + 1]
    expected = ["--model", "org/judge", "--served-model-name", "org/judge", "--host", "127.0.0.1", "--port", port]
    expected += ["--enable-prefix-caching", "--enable-prompt-tokens-details", "--disable-uvicorn-access-log"]
    expected += ["--generation-config", "vllm"]
    assert given == [*expected, "--max-model-len", "4096"]
    assert {"SERVE_KEY", "OTHER"}.isdisjoint(start["environment"])
    assert {"VLLM_API_KEY", "HF_TOKEN"} <= set(start["environment"])
    assert "vllm | serving with ***" in own_log  # the engine's output is passed on, without its key
    assert samples["reagent_serve_backend_up", "vllm"] == 1
    assert samples["vllm:num_requests_running",] == 0  # the engine's own metrics, behind the front's


def test_lora_judges_are_served_by_name_and_listed_first(told: Path, tmp_path: Path) -> None:
    judge = adapter(tmp_path / "judge", 24)
    write_manifest(judge, Manifest(name="j", role="judge", prompt_version="rrm-1", gate=0.7))
    other = adapter(tmp_path / "other", 8)
    with with_fake_vllm(told, f"hf:{judge}", *WORDS[1:], "--lora", f"other={other}", "--json") as server:
        assert json.loads(server.announced())["model"] == "judge"
        listed = server.get("/v1/models").json()["data"]
        card = server.get("/v1/judge").json()
    assert [row["id"] for row in listed] == ["judge", "org/base", "other"]
    assert "secret" not in str(listed)
    assert card == {
        "model": "judge",
        "engine": "vllm",
        "trained": True,
        "prompt_version": "rrm-1",
        "gate": 0.7,
        "max_chars": None,
        "caveat": "",
    }
    given = notes(told, "start")[0]["arguments"]
    assert given[given.index("--model") + 1] == "org/base"
    assert given[given.index("--enable-lora") :] == [
        "--enable-lora", "--max-lora-rank", "32", "--lora-modules", f"judge={judge}", f"other={other}",
    ]  # fmt: skip


def test_it_is_not_ready_while_the_engine_loads(told: Path, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with with_fake_vllm(told, *WORDS, FAKE_VLLM_GATE=str(gate)) as server:
        until(lambda: notes(told, "start"))
        assert server.get("/health").status_code == 200
        ready, asked = server.get("/ready"), server.ask(key=None)
        assert (ready.status_code, ready.json(), ready.headers["Retry-After"]) == (503, {"status": "loading"}, "2")
        assert (asked.status_code, asked.headers["Retry-After"]) == (503, "5")
        assert server.get("/v1/models").status_code == 503
        assert server.counted("backend_up", "vllm") == 0
        gate.touch()
        server.announced()
        assert server.get("/ready").status_code == 200


def test_a_dead_engine_is_started_again(told: Path) -> None:
    """The request that it died of gets an error, those meanwhile a 503, and later ones an answer."""
    with with_fake_vllm(told, *WORDS) as server:
        server.announced()
        with ThreadPoolExecutor(16) as pool:
            statuses = list(pool.map(lambda asked: server.ask(asked, key=None).status_code, ["hello", "die"] * 8))
        assert {502} <= set(statuses) <= {200, 502, 503}
        down = until(lambda: (reply := server.ask(key=None)).status_code == 503 and reply)
        assert down.headers["Retry-After"] == "2"
        assert server.get("/ready").json() == {"status": "down"}
        until(lambda: server.get("/ready").status_code == 200)
        assert server.ask(key=None).status_code == 200
        assert server.counted("backend_restarts_total", "vllm") == 1
        first, second = notes(told, "start")
        assert not any(map(alive, first["pids"]))  # its helper, in a session of its own, went with it
        assert all(map(alive, second["pids"]))


def test_an_engine_that_never_starts_is_told_with_its_last_words(told: Path) -> None:
    with with_fake_vllm(told, *WORDS, "--", "--fail") as server:
        assert server.ended() == 3
    assert server.log[-1].startswith("error: vllm did not start: it ended with code 1; its last lines: ")
    assert "unrecognized arguments: --fail" in server.log[-1]


@pytest.mark.parametrize("kill", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_of_the_engine(told: Path, kill: signal.Signals) -> None:
    with with_fake_vllm(told, *WORDS) as server:
        server.announced()
        (start,) = notes(told, "start")
        assert all(map(alive, start["pids"]))
        server.tell(kill)
        assert server.ended() == (0 if kill is signal.SIGTERM else -signal.SIGKILL)
        until(lambda: not any(map(alive, start["pids"])), seconds=15)


def test_a_killed_guard_takes_the_engine_along(told: Path) -> None:
    with with_fake_vllm(told, *WORDS) as server:
        server.announced()
        (start,) = notes(told, "start")
        guard = int(Path(f"/proc/{start['pids'][0]}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(guard, signal.SIGKILL)
        until(lambda: not alive(start["pids"][0]))
        until(lambda: server.counted("backend_restarts_total", "vllm") == 1)
        os.kill(start["pids"][1], signal.SIGKILL)  # what left the engine's session has nobody to end it then


def test_a_stream_flows_no_faster_than_it_is_read(told: Path) -> None:
    """A caller that stops reading stops the engine, and one that leaves ends the stream."""
    with with_fake_vllm(told, *WORDS) as server:
        server.announced()
        body = {"model": "m", "messages": [{"role": "user", "content": "flood"}], "stream": True}
        with server.http.stream("POST", f"{server.url}/chat/completions", json=body) as reply:
            assert reply.headers["Content-Type"] == "text/event-stream; charset=utf-8"
            pieces = reply.iter_raw()
            assert next(pieces).startswith(b"data: xxx")
            sent = _settled(told)
            assert sent < 40 * 2**20  # what sockets and buffers on the way hold, of a stream without end
        (over,) = until(lambda: notes(told, "flood_over"))
        assert over["sent"] <= sent + 2**20
        until(lambda: server.counted("in_flight") == 0)


def _settled(told: Path) -> int:
    """Bytes sent when no more are."""
    last, since = -1, time.monotonic()
    while time.monotonic() - since < 1.5:
        sent = notes(told, "flood")[-1]["sent"]
        if sent != last:
            last, since = sent, time.monotonic()
        time.sleep(0.02)
    return last
