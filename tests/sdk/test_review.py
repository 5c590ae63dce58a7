"""The judging half of a run, driven from outside, as adapters of frameworks with a loop of their own do it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reagent_sdk import Budget, CritiqueLoop, InvalidInput, JudgeFailed, LowScore, Policy, Run, RunLog, StopReason, Task
from reagent_sdk.agents import Work
from reagent_sdk.outputs import read_output
from reagent_sdk.review import Review
from reagent_sdk.testing import ScriptedAgent, ScriptedJudge
from reagent_sdk.usage import Usage
from reagent_sdk.verdict import VerdictStatus

from .strategies import failures, scores

TASK = Task(question="q")
outcomes = st.lists(
    st.one_of(scores, failures, st.tuples(scores, st.sampled_from(["", "a", "b"]))), min_size=1, max_size=6
)
policies = st.builds(
    Policy, rounds=st.integers(0, 4), accept=st.one_of(st.none(), scores), keep=st.sampled_from(["best", "last"])
)
budgets = st.builds(Budget, calls=st.one_of(st.none(), st.integers(1, 8)))


async def driven(review: Review, answers: list[str], *, through_json: ScriptedJudge | None = None) -> Run:
    """Drives a review as a framework would; where a judge is given, each step is made by a new one out of JSON."""
    again = True
    while again:
        answer = answers[min(review.count, len(answers) - 1)]
        review.meter.admit()  # the agent's call, as the scripted agent counts it
        review.meter.charge(Usage(unpriced_calls=1, unmetered_calls=1))
        again = await review.submit(Work(read_output(answer), answer)) is not None
        if again and through_json is not None:
            review = Review.resumed(Run.model_validate_json(review.result().model_dump_json()), through_json)
    return await review.finish()


def comparable(run: Run) -> dict[str, Any]:
    """What two runs over one script have in common: everything but identity, clocks and each attempt's own usage."""
    told = run.model_dump(exclude={"id", "started_at", "seconds"})
    for attempt in told["attempts"]:
        attempt["trajectory"].pop("usage")
        if attempt["verdict"]:
            attempt["verdict"]["usage"].pop("seconds")
    told["usage"].pop("seconds")
    told["task"].pop("id")
    return told


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=5), outcomes, policies, budgets)
def test_driven_from_outside_it_is_the_loop(
    answers: list[str], script: list[Any], policy: Policy, budget: Budget
) -> None:
    loop = CritiqueLoop(TASK, ScriptedAgent(answers), ScriptedJudge(script), policy=policy, budget=budget)
    expected = asyncio.run(loop.run())
    review = Review(TASK, ScriptedJudge(script), policy=policy, budget=budget)
    assert comparable(asyncio.run(driven(review, answers))) == comparable(expected)


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=5), outcomes, policies, budgets)
def test_resumed_from_its_json_after_every_attempt_it_is_the_same_run(
    answers: list[str], script: list[Any], policy: Policy, budget: Budget
) -> None:
    judge, other = ScriptedJudge(script), ScriptedJudge(script)
    whole = asyncio.run(driven(Review(TASK, judge, policy=policy, budget=budget), answers))
    first = Review(TASK, other, policy=policy, budget=budget)
    pieces = asyncio.run(driven(first, answers, through_json=other))
    assert comparable(pieces) == comparable(whole)
    assert pieces.id == first.result().id


def test_a_resumed_review_does_not_forget_time_and_is_no_other_judge_s() -> None:
    review = Review(TASK, ScriptedJudge([0.5]), budget=Budget(seconds=50))
    asyncio.run(review.submit(Work(read_output("a"), "a")))
    later = review.result().model_copy(update={"seconds": 49.0})
    resumed = Review.resumed(later, ScriptedJudge([0.5]))
    assert 0 < (resumed.meter.remaining_seconds or 0) <= 1
    assert resumed.meter.usage == later.usage
    with pytest.raises(InvalidInput, match="judged by 'scripted', and 'another' cannot go on"):
        Review.resumed(later, ScriptedJudge([0.5], name="another"))


def test_what_is_submitted_after_the_deadline_is_kept_unjudged() -> None:
    late = Review(TASK, ScriptedJudge([0.5]), budget=Budget(seconds=10))
    asyncio.run(late.submit(Work(read_output("a"), "a")))
    over = Review.resumed(late.result().model_copy(update={"seconds": 11.0}), ScriptedJudge([0.9]))
    assert asyncio.run(over.submit(Work(read_output("b"), "b"))) is None
    assert (over.stop, over.result().chosen, over.result().attempts[1].verdict) == (StopReason.BUDGET, 0, None)


def test_the_policy_s_errors_carry_the_run_and_the_log_has_it(tmp_path: Path) -> None:
    async def failing() -> None:
        review = Review(
            TASK, ScriptedJudge([VerdictStatus.UNAVAILABLE]), policy=Policy(on_judge_failure="raise"), log=log
        )
        try:
            await review.submit(Work(read_output("a"), "a"))
        finally:
            await review.settle()

    async def low() -> None:
        review = Review(TASK, ScriptedJudge([0.1]), policy=Policy(rounds=0, floor=0.5, on_low_score="raise"), log=log)
        await review.submit(Work(read_output("a"), "a"))
        await review.finish()

    log = RunLog(tmp_path / "runs.jsonl")
    with pytest.raises(JudgeFailed) as failed:
        asyncio.run(failing())
    with pytest.raises(LowScore) as abstained:
        asyncio.run(low())
    logged = list(log.read())
    assert [run.answer for run in logged] == ["a", "a"]
    assert failed.value.run.id == logged[0].id
    assert abstained.value.run == logged[1]
