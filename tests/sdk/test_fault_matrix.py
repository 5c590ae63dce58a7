"""Whole runs through a real HTTP server whose judge, and then whose agent, fails in every way we know."""

from __future__ import annotations

import time
from typing import Any

import pytest

from reagent_sdk import Budget, ModelAgent, ModelError, ModelJudge, Run, StopReason, VerdictStatus, with_critique
from reagent_sdk.clients.openai_compatible import OpenAICompatible
from reagent_sdk.clients.retry import Retry
from reagent_sdk.testing import ChatServer, Fault, Reply, refused_url

DEADLINE = 60.0
GOOD = "<analysis>a</analysis>\n<critique>do better</critique>\n<score>0.7</score>"
CUT = Reply("<analysis>and then", finish_reason="length")
GONE, ODD, CUT_OFF = VerdictStatus.UNAVAILABLE, VerdictStatus.UNPARSEABLE, VerdictStatus.TRUNCATED

FAULTS = [
    pytest.param(None, GONE, "Cannot connect", id="refused"),
    pytest.param([Fault.reset_mid_body()], GONE, "", id="reset mid-body"),
    pytest.param([Fault.status(429, retry_after=0.01)], GONE, "429", id="429 for ever"),
    pytest.param([Fault.status(429, retry_after=3600)], GONE, "not sent again", id="429 beyond the deadline"),
    pytest.param([Fault.status(500)], GONE, "500", id="500 for ever"),
    pytest.param([Fault.status(401)], GONE, "401", id="401"),
    pytest.param([Fault.hang()], GONE, "", id="hang past the timeout"),
    pytest.param([Fault.empty_body()], GONE, "empty", id="empty body"),
    pytest.param([Fault.invalid_json()], GONE, "JSON", id="invalid JSON"),
    pytest.param([Fault.truncated_body()], GONE, "", id="truncated body"),
    pytest.param([Fault.wrong_content_type()], GONE, "html", id="wrong content type"),
    pytest.param([Fault.huge(10 * 2**20)], GONE, "", id="10 MB reply"),
    pytest.param([CUT], CUT_OFF, "cut off", id="truncated output"),
    pytest.param([Reply("I liked it.")], ODD, "<score>", id="no blocks"),
    pytest.param([Reply(GOOD.replace("0.7", "8/10"))], ODD, "8/10", id="score out of form"),
]
RECOVERIES = [
    pytest.param([Fault.status(429, retry_after=0.01), Reply(GOOD)], id="429 then 200"),
    pytest.param([Fault.status(500), Reply(GOOD)], id="500 then 200"),
    pytest.param([Fault.reset_mid_body(), Reply(GOOD)], id="reset then 200"),
    pytest.param([CUT, Reply(GOOD)], id="truncated then whole"),
    pytest.param([Reply("no blocks"), Reply(GOOD)], id="unreadable then readable"),
    pytest.param([Reply(GOOD.split("</analysis>\n")[1], reasoning="a")], id="reasoning in its own field"),
    pytest.param([Reply(GOOD.replace("analysis>", "think>"))], id="the published tag"),
]


def client_at(url: str, script: list[Any] | None = None) -> OpenAICompatible:
    hangs = any(isinstance(step, Fault) and step.kind == "hang" for step in script or ())
    client = OpenAICompatible(url, timeout=0.4 if hangs else DEADLINE)
    client.retry = Retry(attempts=3, base=0.01)
    return client


def run_with(
    judge_url: str, agent: Any = lambda question: "the draft", script: list[Any] | None = None
) -> tuple[Run, float]:
    began = time.monotonic()
    with with_critique(
        agent, judge=ModelJudge(client_at(judge_url, script)), budget=Budget(seconds=DEADLINE)
    ) as wrapped:
        run = wrapped.run("What is 2 + 2?")
    return run, time.monotonic() - began


@pytest.mark.parametrize(("script", "status", "reason"), FAULTS)
def test_a_failing_judge_has_its_documented_status_and_the_draft_is_kept(
    script: list[Any] | None, status: VerdictStatus, reason: str
) -> None:
    if script is None:
        with refused_url() as url:
            run, seconds = run_with(url)
    else:
        with ChatServer(script) as server:
            run, seconds = run_with(server.base_url, script=script)
    verdict = run.attempts[0].verdict
    assert verdict is not None
    assert (verdict.status, verdict.score) == (status, None)
    assert reason in verdict.reason
    assert (run.stop, run.answer, len(run.attempts)) == (StopReason.JUDGE_FAILED, "the draft", 1)
    assert seconds < DEADLINE


@pytest.mark.parametrize("script", RECOVERIES)
def test_a_judge_that_recovers_scores(script: list[Any]) -> None:
    with ChatServer(script) as server:
        run, seconds = run_with(server.base_url)
    assert run.attempts[0].score == 0.7
    assert run.answer == "the draft"
    assert seconds < DEADLINE


def test_a_judge_that_hangs_for_ever_is_cut_by_the_deadline() -> None:
    with ChatServer([Fault.hang()]) as server:
        judge = ModelJudge(OpenAICompatible(server.base_url, timeout=600))
        with with_critique(lambda question: "the draft", judge=judge, budget=Budget(seconds=1.0)) as agent:
            run = agent.run("q")
        assert server.wait_disconnect()
    assert (run.stop, run.answer, run.attempts[0].verdict) == (StopReason.BUDGET, "the draft", None)
    assert run.seconds < DEADLINE


@pytest.mark.parametrize("script", [pytest.param(fault.values[0], id=fault.id) for fault in FAULTS[1:12]])
def test_an_agent_that_fails_while_revising_costs_nothing(script: list[Any]) -> None:
    """The draft is there, the revision fails: the draft comes back with its score."""
    with ChatServer([Reply(GOOD)]) as judge, ChatServer([Reply("the draft"), *script]) as server:
        run, seconds = run_with(judge.base_url, ModelAgent(client_at(server.base_url, script)))
    assert (run.stop, run.answer, run.score) == (StopReason.REVISION_FAILED, "the draft", 0.7)
    assert seconds < DEADLINE


def test_an_agent_model_that_never_answers_is_an_error_of_its_own() -> None:
    with refused_url() as url, ChatServer([Reply(GOOD)]) as judge, pytest.raises(ModelError, match="Cannot connect"):
        run_with(judge.base_url, ModelAgent(client_at(url)))
