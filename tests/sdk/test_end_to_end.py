"""The main job with real weights: agent and judge are real models, embedded here or behind a real HTTP server."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from reagent_sdk import Budget, ModelAgent, ModelJudge, Policy, Run, RunLog, StopReason, VerdictStatus, with_critique
from reagent_sdk.clients.base import Sampling
from reagent_sdk.clients.openai_compatible import OpenAICompatible
from reagent_sdk.events import AttemptJudged, AttemptSolved, Event, RunFinished, TextDelta
from reagent_sdk.judges.model import JudgeSettings
from reagent_sdk.parsing import parse_verdict, render_verdict
from reagent_sdk.prompts import VERDICT_GRAMMAR

pytestmark = [pytest.mark.real_model, pytest.mark.usefixtures("smollm")]
ONCE_MORE = Policy(rounds=1)
PATIENCE = 280.0
"""Seconds of budget: below the limit of a test, and no less, since a busy machine can be slow."""

QUESTION = "A robe takes 2 bolts of blue fiber and half that much white fiber. How many bolts in total does it take?"

SERVER = """
import sys
import xllamacpp
params = xllamacpp.CommonParams()
params.model.path, params.n_ctx, params.n_parallel, params.verbosity = sys.argv[1], 8192, 2, -1
params.kv_unified, params.cache_ram_mib, params.api_keys = True, 128, ["the-key"]
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
server = xllamacpp.Server(params)
print(server.listening_address, flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def server_url(smollm: Path) -> Iterator[str]:
    """A llama.cpp server in a process of its own, which ends with its standard input."""
    command = [sys.executable, "-c", SERVER, str(smollm)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield process.stdout.readline().strip() + "/v1"
        process.stdin.close()
        process.wait(timeout=240)


def check(run: Run, model: str) -> None:
    """What holds for a run on real models, whatever they say."""
    assert run.stop is not StopReason.JUDGE_FAILED
    assert run.answer
    assert run.attempts
    for attempt in run.attempts:
        verdict = attempt.verdict
        assert verdict is not None
        assert verdict.status is VerdictStatus.SCORED
        assert verdict.critique
        assert verdict.analysis
        assert model in verdict.judge
        assert parse_verdict(render_verdict(verdict)).score == verdict.score
    assert run.score == max(attempt.score or 0 for attempt in run.attempts)
    assert run.usage.prompt_tokens > 300
    assert run.usage.completion_tokens > 20


def test_agent_and_judge_behind_a_real_http_server(server_url: str, tmp_path: Path) -> None:
    sampling = Sampling(temperature=0.0, max_tokens=640, grammar=VERDICT_GRAMMAR, extra={"repeat_penalty": 1.1})
    judge = ModelJudge(
        OpenAICompatible(server_url, api_key="the-key"), JudgeSettings(sampling=sampling, max_chars=16_000)
    )
    solver = ModelAgent(
        OpenAICompatible(server_url, api_key="the-key"), sampling=Sampling(temperature=0.0, max_tokens=160)
    )
    log = tmp_path / "runs.jsonl"
    limit = Budget(calls=6, seconds=PATIENCE)
    with with_critique(solver, judge=judge, policy=ONCE_MORE, budget=limit, log=log) as agent:
        run = agent.run(QUESTION)
    check(run, server_url)
    assert run.usage.cost_usd is None  # nobody told us a price
    assert run.usage.unmetered_calls == 0
    assert run.usage.cached_tokens > 0  # the judge's instructions are read once
    assert list(RunLog(log).read()) == [run]
    assert "the-key" not in log.read_text(encoding="utf-8")


def test_the_same_server_through_a_spec_and_the_environment(server_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REAGENT_API_KEY", "the-key")
    monkeypatch.setenv("REAGENT_JUDGE", server_url)
    with with_critique(lambda question: "Three bolts: 2 + 1 = 3.", policy=Policy(rounds=0)) as agent:
        run = agent.run(QUESTION)
    check(run, server_url)


def test_agent_and_judge_embedded_in_this_process_share_one_engine() -> None:
    events: list[Event] = []
    with with_critique("local", judge="local", policy=ONCE_MORE, budget=Budget(seconds=PATIENCE)) as agent:
        events.extend(agent.stream(QUESTION))
        source, judge = agent._setup.source, agent._setup.judge
        assert isinstance(source, ModelAgent)
        trained = getattr(judge, "_judge", judge)  # below its calibration
        assert isinstance(trained, ModelJudge)
        assert source.client.engine is trained.client.engine  # type: ignore[attr-defined]
    finished = events[-1]
    assert isinstance(finished, RunFinished)
    run = finished.run
    check(run, "local:smollm2-135m-instruct")
    assert run.usage.cost_usd == 0.0
    assert all(attempt.verdict is not None and "agent-rrm-tiny" in attempt.verdict.judge for attempt in run.attempts)
    assert any("agent-rrm-tiny" in note for note in run.notes), "what it cannot do is said with every run"
    said = "".join(event.text for event in events if isinstance(event, TextDelta) and event.stage == "agent")
    assert said == "".join(attempt.answer for attempt in run.attempts)
    order = [type(event) for event in events if isinstance(event, AttemptSolved | AttemptJudged)]
    assert order == [AttemptSolved, AttemptJudged] * len(run.attempts)
