"""`reagent judge serve` with the embedded engine and real weights, as users meet it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from gguf_lora import write_lora
from judge_server import KEY, JudgeServer, judge_server, until

from reagent_sdk import Task, Verdict, VerdictStatus
from reagent_sdk.clients.base import Sampling
from reagent_sdk.clients.openai_compatible import OpenAICompatible
from reagent_sdk.judges.model import JudgeSettings, ModelJudge
from reagent_sdk.models.manifest import Manifest, write_manifest
from reagent_sdk.trajectory import Trajectory

pytestmark = pytest.mark.real_model
SHORT = (
    r'''root ::= "<analysis>\nok\n</analysis>\n<critique>\nShow it.\n</critique>\n<score>0." [0-9] [0-9] "</score>"'''
)
"""A grammar that leaves the model two digits to write: its own verdicts take longer."""

SETTINGS = JudgeSettings(reasks=0, sampling=Sampling(temperature=0.0, max_tokens=80, grammar=SHORT))
WORK = Trajectory.from_openai([{"role": "assistant", "content": "15% of 80 is 12"}])


@pytest.fixture(scope="module")
def served(smollm: Path) -> Iterator[JudgeServer]:
    words = [f"local:{smollm}", "--api-key-env", "SERVE_KEY", "--slots", "2", "--context", "4096", "--json"]
    with judge_server(*words, "--max-in-flight", "64") as running:
        told = json.loads(running.announced())
        assert told["url"] == running.url
        assert told["model"] == smollm.name
        assert "next to no information" in told["caveat"]
        yield running


async def judged(url: str, key: str) -> Verdict:
    judge = ModelJudge(OpenAICompatible(url, api_key=key), SETTINGS, secret=b"fixed")
    try:
        return await judge.judge(Task(question="What is 15% of 80?"), WORK)
    finally:
        await judge.aclose()


def test_it_judges_with_the_grammar_and_from_the_prefix_cache(served: JudgeServer) -> None:
    """Untrained weights give a well-formed verdict only under the grammar, so it did reach the engine."""
    before = served.counted("tokens_total", "cached")
    first, second = asyncio.run(judged(served.url, KEY)), asyncio.run(judged(served.url, KEY))
    assert first.status is second.status is VerdictStatus.SCORED
    assert first.score == second.score
    assert second.usage.cached_tokens > 300
    assert served.counted("tokens_total", "cached") - before >= 300


def test_a_wrong_key_is_an_unavailable_judge(served: JudgeServer) -> None:
    verdict = asyncio.run(judged(served.url, "wrong"))
    assert verdict.status is VerdictStatus.UNAVAILABLE
    assert "401" in verdict.reason


def test_reagent_score_uses_it(served: JudgeServer, tmp_path: Path) -> None:
    records = tmp_path / "records.jsonl"
    records.write_text(json.dumps({"question": "What is 2 + 2?", "answer": "5"}) + "\n")
    environment = {**os.environ, "REAGENT_JUDGE": served.url, "REAGENT_API_KEY": KEY, "REAGENT_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "reagent_sdk", "score", str(records)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=True)
    assert json.loads(done.stdout)["verdict"]["status"] == "scored"


def test_a_stream_arrives_event_by_event(served: JudgeServer) -> None:
    before = served.counted("tokens_total", "completion")
    body = {"messages": [{"role": "user", "content": "Count to ten."}], "stream": True, "max_tokens": 12, "seed": 1}
    with served.http.stream(
        "POST",
        f"{served.url}/chat/completions",
        json={**body, "stream_options": {"include_usage": True}},
        headers={"Authorization": f"Bearer {KEY}"},
    ) as reply:
        lines = [line for line in reply.iter_lines() if line]
    assert lines[-1] == "data: [DONE]"
    events = [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]
    pieces = [event["choices"][0]["delta"].get("content") for event in events if event["choices"]]
    assert len([piece for piece in pieces if piece]) > 4
    usage = next(event["usage"] for event in events if event.get("usage"))
    assert usage["completion_tokens"] > 4
    until(lambda: served.counted("tokens_total", "completion") == before + usage["completion_tokens"])


def test_completions_are_served_too(served: JudgeServer) -> None:
    reply = served.http.post(
        f"{served.url}/completions",
        json={"prompt": "One, two,", "max_tokens": 3},
        headers={"Authorization": f"Bearer {KEY}"},
    )
    assert reply.json()["usage"]["completion_tokens"] == 3


def test_a_prompt_that_does_not_fit_is_told_so_that_clients_understand(served: JudgeServer) -> None:
    reply = served.ask("word " * 6_000)
    assert reply.status_code == 400
    assert reply.json()["error"]["code"] == "context_length_exceeded"


def test_a_caller_that_leaves_frees_its_slot(served: JudgeServer) -> None:
    """Both slots are taken for what would be minutes; the next request is answered all the same."""
    body = {"messages": [{"role": "user", "content": "Tell a very long story."}], "max_tokens": 3_500}
    body |= {"ignore_eos": True}

    def leave(_: int) -> None:
        with pytest.raises(httpx.ReadTimeout):
            served.http.post(
                f"{served.url}/chat/completions", json=body, headers={"Authorization": f"Bearer {KEY}"}, timeout=1.0
            )

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(leave, range(2)))
    assert served.ask("Say yes.", max_tokens=2).status_code == 200
    until(lambda: served.counted("in_flight") == 0)


def test_many_at_once_on_two_slots(served: JudgeServer) -> None:
    with ThreadPoolExecutor(24) as pool:
        replies = list(pool.map(lambda number: served.ask(f"Say {number}.", max_tokens=1), range(24)))
    assert [reply.status_code for reply in replies] == [200] * 24
    assert served.get("/ready").status_code == 200


def test_a_lora_judges_killed_engine_comes_back_and_a_verdict_outlives_sigterm(
    served: JudgeServer, smollm: Path, tmp_path: Path
) -> None:
    """Two ends in one server's life: of its engine, then of itself with a verdict under way."""
    adapter = write_lora(tmp_path / "judge.gguf", strength=0.2)
    write_manifest(tmp_path, Manifest(name="j", role="judge", gate=0.6))
    with judge_server(f"local:{smollm}?lora={adapter}", "--slots", "1") as server:
        server.announced()
        assert server.get("/v1/judge").json()["gate"] == 0.6
        plain, adapted = (one.ask("Hello", max_tokens=5, temperature=0).json() for one in (served, server))
        assert plain["choices"][0]["message"] != adapted["choices"][0]["message"]
        engine = _engine_of(server.process.pid)
        os.kill(engine, signal.SIGKILL)
        until(lambda: server.get("/ready").status_code == 503)
        until(lambda: server.get("/ready").status_code == 200)
        assert server.counted("backend_restarts_total", "embedded") == 1
        with ThreadPoolExecutor(1) as pool:
            under_way = pool.submit(asyncio.run, judged(server.url, ""))
            until(lambda: server.counted("in_flight") == 1)
            server.tell(signal.SIGTERM)
            assert under_way.result().status is VerdictStatus.SCORED
        assert server.ended() == 0


def _engine_of(server: int) -> int:
    """The process that holds the model: the guard's child, which is the server's."""
    pid = server
    for _ in range(2):
        (pid,) = (int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    return pid
