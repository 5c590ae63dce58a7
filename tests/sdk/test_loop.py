from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reagent_sdk import Budget, BudgetExceeded, CritiqueLoop, JudgeFailed, Policy, Run, StopReason, Task, Verdict
from reagent_sdk.decisions import choose, comparable
from reagent_sdk.events import AttemptJudged, AttemptSolved, AttemptStarted, Event, RunFinished
from reagent_sdk.judges.fallback import FallbackJudge
from reagent_sdk.run import Attempt
from reagent_sdk.testing import ScriptedAgent, ScriptedJudge
from reagent_sdk.trajectory import Trajectory
from reagent_sdk.verdict import VerdictStatus

from .strategies import failures, scores

TASK = Task(question="q")
NO_GATE = "the judge ships no accept gate"


def loop_over(answers: list[Any], outcomes: list[Any], gate: float | None = None, **kwargs: Any) -> CritiqueLoop:
    return CritiqueLoop(TASK, ScriptedAgent(answers), ScriptedJudge(outcomes, gate=gate), **kwargs)


def run_over(answers: list[Any], outcomes: list[Any], gate: float | None = None, **kwargs: Any) -> Run:
    return asyncio.run(loop_over(answers, outcomes, gate, **kwargs).run())


outcomes = st.lists(
    st.one_of(scores, failures, st.tuples(scores, st.sampled_from(["", "a", "b"])), st.just(RuntimeError("boom"))),
    min_size=1,
    max_size=6,
)
answers = st.lists(st.one_of(st.sampled_from("abcdef"), st.just(ValueError("agent"))), min_size=1, max_size=6)
policies = st.builds(
    Policy,
    rounds=st.integers(0, 5),
    accept=st.one_of(st.none(), scores, st.just("gate")),
    keep=st.sampled_from(["best", "last"]),
)
budgets = st.builds(Budget, calls=st.one_of(st.none(), st.integers(1, 8)))


@given(answers, outcomes, policies, budgets, st.one_of(st.none(), scores))
def test_never_worse_within_budget_and_with_a_documented_reason(
    answers: list[Any], outcomes: list[Any], policy: Policy, budget: Budget, gate: float | None
) -> None:
    loop = loop_over(answers, outcomes, gate, policy=policy, budget=budget)
    try:
        run = asyncio.run(loop.run())
    except ValueError:  # the agent's own error on its first attempt
        run = loop.result()
        assert run.stop is StopReason.AGENT_FAILED
    assert run.stop is not StopReason.STOPPED
    assert run.stop in StopReason
    assert run.why
    if budget.calls is not None:
        assert run.usage.calls <= budget.calls
    assert len(run.attempts) <= policy.rounds + 1
    if run.best is None:
        return
    assert loop.output() == run.answer
    if policy.keep == "best":
        scored = [attempt.score for attempt in run.attempts if attempt.score is not None]
        assert run.score == max(scored, default=None)
        assert [a.index for a in run.attempts if a.score == run.score][0] == run.chosen  # noqa: RUF015
    else:
        assert run.chosen == len(run.attempts) - 1
    assert Run.model_validate_json(run.model_dump_json()) == run


@given(st.lists(st.tuples(st.sampled_from(["one", "two"]), st.one_of(scores, st.none())), min_size=1, max_size=6))
def test_scores_of_different_judges_are_never_compared(said: list[tuple[str, float | None]]) -> None:
    attempts = []
    for index, (judge, score) in enumerate(said):
        failed = Verdict.failed(VerdictStatus.UNAVAILABLE, "down", judge=judge)
        verdict = failed if score is None else Verdict.of(score, judge=judge)
        attempts.append(Attempt(index=index, trajectory=Trajectory(answer=str(index)), verdict=verdict))
    chosen = attempts[choose(attempts, "best") or 0]
    rivals = [a.score for a in attempts if a.score is not None and comparable(a, chosen)]
    assert chosen.score == max(rivals, default=None)
    first_scored = next((a for a in attempts if a.score is not None), None)
    assert first_scored is None or comparable(first_scored, chosen)


@pytest.mark.parametrize(
    ("answers", "outcomes", "kwargs", "stop", "chosen", "calls"),
    [
        (["a", "b"], [0.3, 0.8], {}, StopReason.ROUNDS, 1, 4),
        (["a", "b"], [0.8, 0.3], {}, StopReason.ROUNDS, 0, 4),
        (["a", "b"], [0.5, 0.5], {}, StopReason.ROUNDS, 0, 4),
        (["a", "b"], [0.9], {"policy": Policy(accept=0.9)}, StopReason.ACCEPTED, 0, 2),
        (["a", "b"], [0.9], {"gate": 0.9}, StopReason.ACCEPTED, 0, 2),
        (["a", "b"], [0.2], {"policy": Policy(rounds=0)}, StopReason.ROUNDS, 0, 2),
        (["a", "a"], [0.2, 0.4], {"policy": Policy(rounds=3)}, StopReason.UNCHANGED, 0, 3),
        (["a", "b", "a"], [0.1, 0.2, 0.3], {"policy": Policy(rounds=9)}, StopReason.UNCHANGED, 1, 5),
        (["a", "b"], [(0.2, "same"), (0.3, "same")], {"policy": Policy(rounds=3)}, StopReason.REPEATED_CRITIQUE, 1, 4),
        (["a", "b"], [(0.2, "")], {}, StopReason.NO_CRITIQUE, 0, 2),
        (["a", "b"], [0.2, 0.9], {"budget": Budget(calls=3)}, StopReason.BUDGET, 0, 2),
        (["a", "b"], [0.2, 0.9], {"budget": Budget(calls=1)}, StopReason.BUDGET, 0, 1),
        (["a", "b"], [VerdictStatus.UNPARSEABLE], {}, StopReason.JUDGE_FAILED, 0, 2),
        (["a", "b"], [VerdictStatus.ABSTAINED], {}, StopReason.JUDGE_ABSTAINED, 0, 2),
        (["a", "b"], [RuntimeError("dead")], {}, StopReason.JUDGE_FAILED, 0, 1),
        (["a", "b"], [0.2, VerdictStatus.UNAVAILABLE], {}, StopReason.JUDGE_FAILED, 0, 4),
        (["a", ValueError("x")], [0.2], {}, StopReason.REVISION_FAILED, 0, 2),
        (["a", ""], [0.2], {}, StopReason.REVISION_FAILED, 0, 3),
    ],
)
def test_every_way_to_stop(
    answers: list[Any], outcomes: list[Any], kwargs: Any, stop: StopReason, chosen: int, calls: int
) -> None:
    run = run_over(answers, outcomes, **kwargs)
    assert (run.stop, run.chosen) == (stop, chosen)
    assert run.usage.calls == calls


def test_reagent_c_always_revises_returns_the_revision_and_judges_only_the_draft() -> None:
    run = run_over(["a", "b"], [0.95, 0.1], gate=0.5, policy=Policy(keep="last", rounds=1))
    assert (run.chosen, run.stop, run.answer) == (1, StopReason.ROUNDS, "b")
    assert run.attempts[1].verdict is None
    assert run.usage.calls == 3


def test_the_same_work_is_not_judged_twice() -> None:
    judge = ScriptedJudge([0.4, 0.9])
    run = asyncio.run(CritiqueLoop(TASK, ScriptedAgent(["a"]), judge).run())
    assert len(judge.seen) == 1
    assert [attempt.score for attempt in run.attempts] == [0.4, 0.4]


def test_the_revision_sees_the_previous_work_and_only_the_critique() -> None:
    agent = ScriptedAgent(["a", "b"])
    secret = Verdict.of(0.2, "fix it", analysis="the gold answer is 42")
    asyncio.run(CritiqueLoop(TASK, agent, ScriptedJudge([secret])).run())
    _, feedback = agent.seen[1]
    assert feedback is not None
    assert (feedback.critique, feedback.previous.answer) == ("fix it", "a")
    assert "42" not in repr(feedback)


# A dead judge became score 0.0 in the published code.
def test_defect_a_dead_judge_became_a_score() -> None:
    run = run_over(["a"], [ConnectionError("refused")])
    verdict = run.attempts[0].verdict
    assert verdict is not None
    assert (verdict.status, verdict.score) == (VerdictStatus.UNAVAILABLE, None)
    assert "refused" in verdict.reason


def test_a_failed_judge_can_be_an_error_that_keeps_the_draft() -> None:
    with pytest.raises(JudgeFailed) as caught:
        run_over(["draft"], [VerdictStatus.TRUNCATED], policy=Policy(on_judge_failure="raise"))
    assert caught.value.run.answer == "draft"
    assert caught.value.verdict.status is VerdictStatus.TRUNCATED


def test_a_stand_in_judge_is_asked_and_its_scores_are_not_compared() -> None:
    judge = FallbackJudge(
        [ScriptedJudge([0.3, VerdictStatus.UNAVAILABLE], name="first"), ScriptedJudge([0.9], name="second")]
    )
    run = asyncio.run(CritiqueLoop(TASK, ScriptedAgent(["a", "b"]), judge).run())
    assert [attempt.score for attempt in run.attempts] == [0.3, 0.9]
    assert (run.chosen, run.stop) == (0, StopReason.JUDGE_CHANGED)


def test_when_all_judges_fail_every_reason_is_told() -> None:
    judge = FallbackJudge(
        [ScriptedJudge([VerdictStatus.TRUNCATED], name="one"), ScriptedJudge([RuntimeError("gone")], name="two")]
    )
    run = asyncio.run(CritiqueLoop(TASK, ScriptedAgent(["a"]), judge).run())
    assert run.stop is StopReason.JUDGE_FAILED
    verdict = run.attempts[0].verdict
    assert verdict is not None
    assert "gone" in verdict.reason


def test_a_judge_that_raises_is_stood_in_for_as_one_that_fails() -> None:
    judge = FallbackJudge([ScriptedJudge([RuntimeError("gone")], name="one"), ScriptedJudge([0.4, 0.6], name="two")])
    run = asyncio.run(CritiqueLoop(TASK, ScriptedAgent(["a", "b"]), judge).run())
    assert [attempt.score for attempt in run.attempts] == [0.4, 0.6]


def test_no_draft_within_the_budget_is_an_error_with_the_run() -> None:
    class Slow(ScriptedAgent):
        async def attempt(self, *args: Any) -> Any:
            await asyncio.Event().wait()

    with pytest.raises(BudgetExceeded) as caught:
        asyncio.run(CritiqueLoop(TASK, Slow(["never"]), ScriptedJudge([1.0]), budget=Budget(seconds=0.05)).run())
    assert caught.value.limit == "seconds"
    assert caught.value.run is not None
    assert caught.value.run.stop is StopReason.BUDGET


def test_a_deadline_in_the_judge_keeps_the_draft_and_cancels_the_call() -> None:
    cancelled = []

    class Slow(ScriptedJudge):
        async def judge(self, *args: Any) -> Verdict:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.append(True)
                raise
            raise AssertionError

    run = asyncio.run(CritiqueLoop(TASK, ScriptedAgent(["a"]), Slow([1.0]), budget=Budget(seconds=0.5)).run())
    assert (run.stop, run.answer, cancelled) == (StopReason.BUDGET, "a", [True])


def test_a_timeout_of_the_agents_own_is_not_taken_for_the_deadline() -> None:
    with pytest.raises(TimeoutError, match="mine"):
        run_over([TimeoutError("mine")], [1.0], budget=Budget(seconds=60))


def test_a_run_inside_a_run_spends_the_outer_budget() -> None:
    async def inner(question: str) -> str:
        run = await CritiqueLoop(TASK, ScriptedAgent(["a", "b"]), ScriptedJudge([0.1, 0.2])).run()
        return run.answer or ""

    from reagent_sdk.agents import CallableAgent

    run = asyncio.run(CritiqueLoop(TASK, CallableAgent(inner), ScriptedJudge([0.5]), budget=Budget(calls=6)).run())
    assert run.usage.calls == 5  # four inside, one verdict; a second attempt and its verdict would not fit
    assert run.stop is StopReason.BUDGET


def test_the_iterator_can_be_left_early_and_events_tell_the_story() -> None:
    seen: list[Event] = []

    async def first_only() -> Run:
        loop = loop_over(["a", "b"], [0.2, 0.4], observe=seen.append)
        attempts = loop.attempts()
        async for _ in attempts:
            break
        await attempts.aclose()
        return loop.result()

    run = asyncio.run(first_only())
    assert (run.stop, run.answer, len(run.attempts)) == (StopReason.STOPPED, "a", 1)
    assert [type(event) for event in seen] == [AttemptStarted, AttemptSolved, AttemptJudged]
    seen.clear()
    whole = run_over(["a", "b"], [0.2, 0.4], observe=seen.append)
    assert isinstance(seen[-1], RunFinished)
    assert seen[-1].run == whole


def test_the_run_says_when_there_is_no_gate_and_when_prices_are_unknown() -> None:
    run = run_over(["a"], [0.2], budget=Budget(usd=1.0))
    assert any(NO_GATE in note for note in run.notes)
    assert any("no known price" in note for note in run.notes)
    assert run.usage.cost_usd is None
    assert not any(NO_GATE in note for note in run_over(["a"], [0.2], gate=0.1).notes)
