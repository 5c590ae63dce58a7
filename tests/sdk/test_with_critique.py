from __future__ import annotations

import asyncio
import functools
import inspect
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reagent_sdk import (
    AsyncCritiqueAgent,
    Budget,
    BudgetExceeded,
    CritiqueAgent,
    Feedback,
    InvalidInput,
    Message,
    Policy,
    Run,
    RunLog,
    StopReason,
    Task,
    Trajectory,
    Usage,
    Verdict,
    with_critique,
)
from reagent_sdk.clients.base import MeteredCall
from reagent_sdk.errors import AgentError
from reagent_sdk.events import AttemptStarted, RunFinished
from reagent_sdk.testing import ScriptedJudge


def improving(question: str) -> str:
    """Answers better when it is told to."""
    return "better" if "reviewer" in question else "draft"


def judge_up() -> ScriptedJudge:
    return ScriptedJudge([(0.2, "say more"), (0.9, "fine")])


def test_a_sync_function_stays_sync_and_keeps_its_name() -> None:
    with with_critique(improving, judge=judge_up()) as agent:
        assert agent("q") == "better"
        assert agent.__name__ == "improving"
        assert agent.__doc__ == improving.__doc__
        assert list(inspect.signature(agent).parameters) == ["question"]


def test_an_async_function_stays_async_in_the_callers_loop() -> None:
    loops = []

    @with_critique(judge=judge_up())
    async def agent(question: str) -> str:
        loops.append(asyncio.get_running_loop())
        return improving(question)

    async def main() -> str:
        assert isinstance(agent, AsyncCritiqueAgent)
        answer = await agent("q")
        assert set(loops) == {asyncio.get_running_loop()}
        return str(answer)

    assert asyncio.run(main()) == "better"


def test_messages_in_gives_the_agents_message_out_and_the_conversation_goes_on() -> None:
    seen: list[Any] = []

    def agent(messages: list[dict[str, Any]]) -> dict[str, Any]:
        seen.append(messages)
        return {"role": "assistant", "content": f"answer {len(seen)}"}

    question = [{"role": "system", "content": "s"}, {"role": "user", "content": "q"}]
    with with_critique(agent, judge=judge_up()) as wrapped:
        assert wrapped(question) == {"role": "assistant", "content": "answer 2"}
    assert seen[0] == question
    assert [message["role"] for message in seen[1]] == ["system", "user", "assistant", "user"]
    assert seen[1][2]["content"] == "answer 1"
    assert "say more" in seen[1][3]["content"]


def test_text_revisions_hold_question_draft_and_critique() -> None:
    seen: list[str] = []

    def agent(question: str) -> str:
        seen.append(question)
        return f"answer {len(seen)}"

    with with_critique(agent, judge=judge_up()) as wrapped:
        wrapped("the question")
    assert seen[0] == "the question"
    assert all(piece in seen[1] for piece in ("the question", "answer 1", "say more"))


def test_a_feedback_parameter_gets_the_feedback_itself() -> None:
    seen: list[tuple[str, Feedback | None]] = []

    def agent(question: str, feedback: Feedback | None = None) -> str:
        seen.append((question, feedback))
        return f"answer {len(seen)}"

    with with_critique(agent, judge=judge_up()) as wrapped:
        wrapped("q")
    assert seen[0] == ("q", None)
    assert seen[1][0] == "q"
    assert seen[1][1] is not None
    assert seen[1][1].critique == "say more"


def test_further_arguments_and_keywords_reach_the_function() -> None:
    def agent(question: str, tone: str, *, loud: bool = False) -> str:
        return f"{tone} {loud}"

    with with_critique(agent, judge=judge_up(), policy=Policy(rounds=0)) as wrapped:
        assert wrapped("q", "kind", loud=True) == "kind True"
        assert wrapped(question="q", tone="kind") == "kind False"


def test_methods_partials_and_callable_objects_can_be_wrapped() -> None:
    class Bot:
        @with_critique(judge=lambda task, work: 0.5)
        def ask(self, question: str) -> str:
            return f"{id(self)}"

        def __call__(self, question: str) -> str:
            return "called"

    bot = Bot()
    assert bot.ask("q") == str(id(bot))
    assert with_critique(bot, judge=judge_up())("q") == "called"
    assert with_critique(functools.partial(lambda tone, question: tone, "t"), judge=judge_up())("q") == "t"


def test_wrapping_twice_works_and_the_inner_calls_count() -> None:
    inner = with_critique(improving, judge=judge_up())
    run = with_critique(inner, judge=lambda task, work: 0.5).run("q")
    assert run.answer == "better"
    assert run.usage.calls >= 3


def test_the_run_tells_everything_and_is_logged(tmp_path: Path) -> None:
    log = tmp_path / "runs.jsonl"
    with with_critique(improving, judge=judge_up(), log=log, policy=Policy(accept=0.9)) as agent:
        run = agent.run("q")
    assert isinstance(run, Run)
    assert [(attempt.answer, attempt.score) for attempt in run.attempts] == [("draft", 0.2), ("better", 0.9)]
    assert run.stop is StopReason.ACCEPTED
    assert run.why.startswith("Returned attempt 2 of 2")
    assert list(RunLog(log).read()) == [run]


def test_runs_that_end_in_an_error_are_logged_too(tmp_path: Path) -> None:
    log = RunLog(tmp_path / "runs.jsonl")

    def broken(question: str) -> str:
        raise KeyError("mine")

    with with_critique(broken, judge=judge_up(), log=log) as agent, pytest.raises(KeyError, match="mine"):
        agent("q")
    (run,) = log.read()
    assert run.stop is StopReason.AGENT_FAILED
    assert "KeyError" in run.notes[-1]


def test_the_run_is_logged_before_its_last_event(tmp_path: Path) -> None:
    log = RunLog(tmp_path / "runs.jsonl")
    with with_critique(improving, judge=judge_up(), log=log) as agent:
        for event in agent.stream("q"):
            if isinstance(event, RunFinished):
                assert list(log.read()) == [event.run]
                break


def test_a_log_that_cannot_be_written_does_not_cost_the_answer(tmp_path: Path) -> None:
    agent = with_critique(improving, judge=judge_up(), log=tmp_path)
    with agent, pytest.warns(RuntimeWarning, match="was not logged"):
        assert agent("q") == "better"


def test_stream_ends_with_the_run_and_batch_keeps_order() -> None:
    with with_critique(lambda question: f"re {question}", judge=lambda task, work: (0.5, "c")) as agent:
        events = list(agent.stream("q"))
        assert isinstance(events[0], AttemptStarted)
        assert isinstance(events[-1], RunFinished)
        assert [run.task.question for run in agent.batch(["a", "b", "c"], concurrency=2)] == ["a", "b", "c"]
        with pytest.raises(InvalidInput, match="concurrency"):
            agent.batch(["a"], concurrency=0)


def test_leaving_a_stream_early_cancels_the_run() -> None:
    async def main() -> None:
        started, cancelled = asyncio.Event(), asyncio.Event()

        async def agent(question: str) -> str:
            started.set()
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()
            return ""

        stream = with_critique(agent, judge=judge_up()).astream("q")
        assert isinstance(await anext(stream), AttemptStarted)
        await started.wait()
        await stream.aclose()
        assert cancelled.is_set()

    asyncio.run(main())


def test_the_first_error_of_a_batch_is_raised() -> None:
    def picky(question: str) -> str:
        if question == "bad":
            raise LookupError(question)
        return question

    with with_critique(picky, judge=judge_up()) as agent, pytest.raises(LookupError, match="bad"):
        agent.batch(["good", "bad", "good"])


def test_outputs_of_many_types_are_read_and_returned_untouched() -> None:
    trajectory = Trajectory.from_openai([{"role": "assistant", "content": "t"}])
    for output, answer in [
        (42, "42"),
        ({"total": 3}, '{"total": 3}'),
        (Message(role="assistant", content="m"), "m"),
        ([{"role": "assistant", "content": "last"}], "last"),
        ({"choices": [{"message": {"role": "assistant", "content": "c"}}]}, "c"),
        (trajectory, "t"),
        (Usage(calls=1), Usage(calls=1).model_dump_json()),
    ]:
        agent = with_critique(lambda question, output=output: output, judge=lambda task, work: 0.5)
        assert agent.run("q").answer == answer
        assert agent("q") is output
        agent.close()


@pytest.mark.parametrize("output", [None, object(), "", "  ", [], [3], {"role": "assistant"}])
def test_what_is_no_answer_is_an_error_that_says_so(output: Any) -> None:
    with with_critique(lambda question: output, judge=judge_up()) as agent, pytest.raises(AgentError, match="return"):
        agent("q")


def test_calls_of_clients_inside_the_users_code_count_towards_the_budget() -> None:
    async def agent(question: str) -> str:
        for _ in range(3):
            async with MeteredCall() as call:
                call.used(Usage(prompt_tokens=10, completion_tokens=5, priced_usd=0.25))
        return "done"

    wrapped = with_critique(agent, judge=lambda task, work: 0.5)
    run = wrapped.run("q")
    wrapped.close()
    assert (run.usage.calls, run.usage.known_tokens) == (4, 45)
    assert run.attempts[0].trajectory.usage.cost_usd == 0.75
    assert run.usage.cost_usd is None  # the judge is a function of unknown price
    for budget, limit in [(Budget(calls=2), "calls"), (Budget(tokens=20), "tokens"), (Budget(usd=0.3), "usd")]:
        with with_critique(agent, judge=lambda task, work: 0.5, budget=budget) as limited:
            with pytest.raises(BudgetExceeded) as caught:
                limited.run("q")
            assert caught.value.limit == limit


def _generator(question: str) -> Iterator[str]:
    yield question


@pytest.mark.parametrize(
    ("agent", "says"),
    [
        (None, "cannot wrap None"),
        (7, "cannot wrap 7"),
        (dict, "is a class"),
        (_generator, "yields instead"),
        ("nonsense", "does not name a model"),
        ("", "does not name a model"),
    ],
)
def test_what_cannot_be_wrapped_says_what_can(agent: Any, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        with_critique(agent, judge=judge_up())


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"judge": "nonsense"}, "unknown judge.*provider/model"),
        ({"judge": 3}, "a judge is a spec"),
        ({"judge": []}, "at least two judges"),
        ({"judge": lambda: 0.5}, "two arguments"),
        ({"policy": {"rounds": 1}}, "policy must be a Policy"),
        ({"budget": 5}, "budget must be a Budget"),
    ],
)
def test_bad_settings_fail_at_once_with_the_fix(settings: Any, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        with_critique(improving, **({"judge": judge_up()} | settings))


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda: Budget(usd=-1), "Budget: usd.*greater than 0"),
        (lambda: Budget(calls=0), "Budget: calls"),
        (lambda: Budget(seconds=float("nan")), "Budget: seconds.*finite"),
        (lambda: Policy(rounds=-1), "Policy: rounds.*greater than or equal to 0, not -1"),
        (lambda: Policy(accept=1.5), "Policy: accept.*less than or equal to 1"),
        (lambda: Policy(round=2), "round is not a setting; there are rounds"),
    ],
)
def test_settings_out_of_range_name_the_field_and_the_limit(build: Any, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        build()


@pytest.mark.parametrize("score", [7, -0.1, float("nan"), "high", None, True, (0.5, 3), (1, 2, 3)])
def test_a_judge_function_that_returns_nonsense_is_a_failed_judge(score: Any) -> None:
    with with_critique(improving, judge=lambda task, work: score) as agent:
        run = agent.run("q")
    assert (run.stop, run.answer, run.score) == (StopReason.JUDGE_FAILED, "draft", None)


def test_an_empty_task_is_refused_before_anything_is_called() -> None:
    called: list[str] = []
    with with_critique(lambda question: called.append(question) or "x", judge=judge_up()) as agent:
        for empty in ("", " ", []):
            with pytest.raises(InvalidInput, match=r"empty"):
                agent(empty)
        with pytest.raises(InvalidInput, match="no task"):
            agent()
    assert not called


def test_a_task_with_an_id_keeps_it() -> None:
    with with_critique(improving, judge=judge_up()) as agent:
        assert agent.run(Task(question="q", id="t-1")).task.id == "t-1"


def test_usable_from_threads_and_from_inside_a_running_loop() -> None:
    with with_critique(improving, judge=lambda task, work: Verdict.of(0.5, work.answer)) as agent:
        answers: list[str] = []
        threads = [threading.Thread(target=lambda: answers.append(agent("q"))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(answers) == 8

        async def notebook_cell() -> str:
            return agent("q")

        assert asyncio.run(notebook_cell()) in {"draft", "better"}
        assert isinstance(agent, CritiqueAgent)
