"""What a run says of its own answer, and what becomes of a low score."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reagent_sdk import (
    CritiqueLoop,
    InvalidInput,
    LowScore,
    Policy,
    RunLog,
    RunStatus,
    Task,
    VerdictStatus,
    with_critique,
)
from reagent_sdk.testing import ScriptedAgent, ScriptedJudge

from .strategies import scores

TASK = Task(question="What is 2 + 2?")


def run_of(outcomes: list[Any], policy: Policy, gate: float | None = None) -> Any:
    agent = ScriptedAgent(["one", "two", "three"])
    return asyncio.run(CritiqueLoop(TASK, agent, ScriptedJudge(outcomes, gate=gate), policy=policy).run())


@pytest.mark.parametrize(
    ("outcomes", "policy", "status"),
    [
        ([0.9], Policy(accept=0.8), RunStatus.ACCEPTED),
        ([0.5, 0.6], Policy(accept=0.8), RunStatus.ANSWERED),
        ([0.5, 0.6], Policy(accept=None), RunStatus.ANSWERED),
        ([0.5, 0.6], Policy(floor=0.6), RunStatus.ANSWERED),
        ([0.5, 0.59], Policy(floor=0.6), RunStatus.ABSTAINED),
        ([0.7, 0.1], Policy(floor=0.6, accept=None), RunStatus.ANSWERED),
        ([0.1], Policy(floor=0.6, rounds=0), RunStatus.ABSTAINED),
        ([VerdictStatus.UNAVAILABLE], Policy(floor=0.6), RunStatus.UNJUDGED),
        ([0.9, 0.1], Policy(keep="last", floor=0.6), RunStatus.ABSTAINED),
        ([0.9, 0.1], Policy(keep="last"), RunStatus.UNJUDGED),
    ],
)
def test_the_status_says_how_far_the_answer_can_be_relied_upon(
    outcomes: list[Any], policy: Policy, status: RunStatus
) -> None:
    run = run_of(outcomes, policy)
    assert run.status is status
    assert ("below the floor" in run.why) == (status is RunStatus.ABSTAINED)


@given(st.lists(scores, min_size=3, max_size=3), scores)
def test_abstaining_means_that_no_attempt_reached_the_floor(given_scores: list[float], floor: float) -> None:
    run = run_of(given_scores, Policy(rounds=2, floor=floor, accept=None))
    assert (run.status is RunStatus.ABSTAINED) == (max(given_scores) < floor)


def test_a_failed_agent_is_a_failed_run(tmp_path: Path) -> None:
    log = RunLog(tmp_path / "runs.jsonl")
    with pytest.raises(RuntimeError, match="broken"):
        asyncio.run(CritiqueLoop(TASK, ScriptedAgent([RuntimeError("broken")]), ScriptedJudge([0.5]), log=log).run())
    assert [run.status for run in log.read()] == [RunStatus.FAILED]


def test_a_low_score_raises_after_the_run_is_logged(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    agent = with_critique(
        lambda question: "4",
        judge=lambda task, work: (0.2, "weak"),
        policy=Policy(floor=0.5),
        log=path,
        on_low_score="raise",
    )
    with pytest.raises(LowScore, match="below the floor") as caught:
        agent("What is 2 + 2?")
    with pytest.raises(LowScore):
        agent.run("What is 2 + 2?")
    assert caught.value.run.answer == "4"
    logged = list(RunLog(path).read())
    assert [run.status for run in logged] == [RunStatus.ABSTAINED, RunStatus.ABSTAINED]
    assert logged[0] == caught.value.run


def test_without_a_floor_the_accept_threshold_is_the_mark() -> None:
    judge = ScriptedJudge([0.6], gate=0.7)
    with pytest.raises(LowScore):
        with_critique(lambda question: "4", judge=judge, on_low_score="raise")("What is 2 + 2?")
    fine = with_critique(lambda question: "4", judge=ScriptedJudge([0.7], gate=0.7), on_low_score="raise")
    assert fine("What is 2 + 2?") == "4"


def test_a_judge_that_failed_is_no_low_score() -> None:
    judge = ScriptedJudge([VerdictStatus.UNAVAILABLE], gate=0.7)
    assert with_critique(lambda question: "4", judge=judge, on_low_score="raise")("What is 2 + 2?") == "4"


def test_raising_needs_to_know_what_is_low() -> None:
    with pytest.raises(InvalidInput, match=r"set Policy\(floor=\.\.\.\)"):
        with_critique(lambda question: "4", judge=ScriptedJudge([0.5]), on_low_score="raise")
    with pytest.raises(InvalidInput, match="on_low_score"):
        with_critique(lambda question: "4", judge=ScriptedJudge([0.5]), on_low_score="shout")  # type: ignore[call-overload]


def test_the_decorator_takes_it_as_well() -> None:
    @with_critique(judge=ScriptedJudge([0.1]), policy=Policy(floor=0.5), on_low_score="raise")
    def agent(question: str) -> str:
        return "4"

    with pytest.raises(LowScore):
        agent("What is 2 + 2?")


def test_work_from_the_mark_on_is_not_revised_by_the_user_s_own_rule() -> None:
    assert len(run_of([0.5, 0.9], Policy(revise_below=0.5)).attempts) == 1
    assert len(run_of([0.49, 0.9], Policy(revise_below=0.5)).attempts) == 2
