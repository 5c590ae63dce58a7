"""smolagents with a scripted model, and once with a real one."""

from __future__ import annotations

import asyncio
import importlib
import threading
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("smolagents")

from reagent_adapters import versions
from reagent_adapters.smolagents import CritiqueAgent, critique_check, run_of
from reagent_adapters.smolagents_meter import Gate
from smolagents import CodeAgent, Model, ToolCallingAgent, tool
from smolagents.agents import RunResult
from smolagents.memory import ActionStep, FinalAnswerStep, TaskStep
from smolagents.models import (
    ChatMessage,
    ChatMessageStreamDelta,
    ChatMessageToolCall,
    ChatMessageToolCallFunction,
    MessageRole,
)
from smolagents.monitoring import LogLevel, TokenUsage
from smolagents.utils import AgentGenerationError
from sybil import Document
from sybil.parsers.markdown import PythonCodeBlockParser

from reagent_sdk import Budget, BudgetExceeded, InvalidInput, JudgeFailed, Policy, RunLog, StopReason, VerdictStatus
from reagent_sdk.budget import Meter
from reagent_sdk.events import RunFinished
from reagent_sdk.run import Run, RunStatus
from reagent_sdk.task import Task
from reagent_sdk.testing import ChatServer, ScriptedJudge
from reagent_sdk.trajectory import AgentStop, Trajectory
from reagent_sdk.verdict import Verdict

from .real_model import KEY, MODEL, model_url  # noqa: F401 - a fixture

NAME = "smolagents"
CHECK = "smolagents check"
NOT_APPLICABLE = {
    (CHECK, "best kept"): "a check can refuse an answer and not replace it; wrap the agent to keep the best",
    (CHECK, "stream"): "a stream of the framework's own shows refused answers; wrap the agent to stream",
    (CHECK, "memory kept"): "refused answers stay in the agent's memory; wrap the agent to leave them out",
    (CHECK, "async"): "agents of smolagents are called from blocking code; the wrapper has arun",
    (CHECK, "cancellation"): "agents of smolagents cannot be cancelled; the wrapper's arun can",
}
ONCE = Policy(rounds=1)
feature = pytest.mark.feature


def call(name: str, id: str, **arguments: Any) -> ChatMessageToolCall:
    return ChatMessageToolCall(
        function=ChatMessageToolCallFunction(name=name, arguments=arguments), id=id, type="function"
    )


def final(answer: Any) -> ChatMessageToolCall:
    return call("final_answer", "f", answer=answer)


def code(text: str, thought: str = "Thought: I compute.") -> str:
    return f"{thought}\n<code>\n{text}\n</code>"


class Scripted(Model):
    """Gives the scripted messages in order: texts, tool calls, lists of these, or exceptions."""

    def __init__(self, *script: Any) -> None:
        super().__init__(model_id="scripted")
        self.script = list(script)
        self.seen: list[str] = []

    def generate(self, messages: Any, *args: Any, **kwargs: Any) -> ChatMessage:
        self.seen.append("\n".join(str(message.content) for message in messages))
        step = self.script.pop(0)
        if isinstance(step, Exception):
            raise step
        step = step() if callable(step) else step
        parts = step if isinstance(step, list) else [step]
        texts = [part for part in parts if isinstance(part, str)]
        calls = [part for part in parts if not isinstance(part, str)]
        usage = TokenUsage(input_tokens=10, output_tokens=5)
        content = "\n".join(texts) or None
        return ChatMessage(MessageRole.ASSISTANT, content, tool_calls=calls or None, token_usage=usage)


@tool
def price(item: str) -> str:
    """The price of an item.

    Args:
        item: its name.
    """
    if item == "gold":
        raise ValueError("not for sale")
    return f"{item} costs 3 euros"


def agent_of(model: Model, kind: Any = ToolCallingAgent, **more: Any) -> Any:
    return kind(tools=[price, *more.pop("tools", [])], model=model, verbosity_level=LogLevel.OFF, **more)


def critique_of(model: Model, *outcomes: Any, kind: Any = ToolCallingAgent, **more: Any) -> CritiqueAgent:
    settings = {name: more.pop(name) for name in ("policy", "budget", "log") if name in more}
    judge = more.pop("judge", None) or ScriptedJudge(outcomes)
    return CritiqueAgent(agent_of(model, kind, **more), judge, **{"policy": ONCE, **settings})


def last_run(agent: CritiqueAgent) -> Run:
    assert agent.last_run is not None
    return agent.last_run


@feature(NAME, "sync", "best kept")
def test_the_answer_is_that_of_the_better_attempt_in_the_frameworks_own_type() -> None:
    for scores, best in (((0.8, 0.3), {"sum": 5}), ((0.3, 0.8), {"sum": 6})):
        with critique_of(Scripted(final({"sum": 5}), final({"sum": 6})), *scores) as agent:
            assert agent.run("What is it?") == best
            run = last_run(agent)
            assert [attempt.answer for attempt in run.attempts] == ['{"sum":5}', '{"sum":6}']
            assert run.stop is StopReason.ROUNDS
            assert (run.usage.prompt_tokens, run.usage.completion_tokens, run.usage.calls) == (20, 10, 4)
            assert run.attempts[0].trajectory.usage.calls == 1


def test_a_full_result_keeps_its_type_and_leads_to_its_run() -> None:
    with critique_of(Scripted(final("a"), final("b")), (0.3, "look again"), 0.8, return_full_result=True) as agent:
        result = agent.run("q")
    assert isinstance(result, RunResult)
    assert result.output == "b"
    assert run_of(result).score == 0.8
    told = str(vars(result).get("steps") or vars(result).get("messages"))
    assert "'b'" in told
    assert "look again" not in told


def test_the_agent_reads_the_critique_after_its_draft_and_nothing_else_of_the_verdict() -> None:
    model = Scripted(final("first"), final("second"))
    with critique_of(model, Verdict.of(0.31, "count the eggs", analysis="secret analysis"), 0.9) as agent:
        agent.run("How many?")
    asked, draft, request = (model.seen[1].rfind(text) for text in ("How many?", "first", "count the eggs"))
    assert -1 < asked < draft < request
    assert "secret analysis" not in str(model.seen)
    assert "0.31" not in str(model.seen)


@feature(NAME, "sync", "async")
def test_calls_work_in_threads_and_running_loops() -> None:
    def blocking(outcome: list[Any]) -> None:
        with critique_of(Scripted(final("first"), final("second")), 0.3, 0.8) as agent:
            outcome.append(agent.run("q"))

    outcome: list[Any] = []
    thread = threading.Thread(target=blocking, args=(outcome,))
    thread.start()
    thread.join(60)

    async def notebook() -> None:
        blocking(outcome)
        outcome.append(await critique_of(Scripted(final("first"), final("second")), 0.3, 0.8).arun("q"))

    asyncio.run(notebook())
    assert outcome == ["second"] * 3


@feature(NAME, "tools seen")
def test_the_judge_sees_each_call_with_its_own_result_also_those_that_a_revision_builds_on() -> None:
    judge = ScriptedJudge([(0.3, "check the sum"), 0.8])
    model = Scripted(
        ["I need prices", call("price", "c2", item="egg"), call("price", "c1", item="ham")],
        call("price", "c3", item="gold"),
        ["so:", final("6")],
        call("price", "c4", item="salt"),
        final("9"),
    )
    with critique_of(model, judge=judge) as agent:
        assert agent.run("What do they cost?") == "9"
    first, second = (trajectory.messages for _, trajectory in judge.seen)
    assert first[0].text == "I need prices"
    assert [(c.id, c.name, c.arguments_text) for c in first[0].tool_calls or ()] == [
        ("c2", "price", '{"item": "egg"}'),
        ("c1", "price", '{"item": "ham"}'),
    ]
    assert [(m.tool_call_id, m.text) for m in first[1:3]] == [("c2", "egg costs 3 euros"), ("c1", "ham costs 3 euros")]
    assert first[3].tool_calls is not None
    assert first[4].tool_call_id == "c3"
    assert "not for sale" in first[4].text
    assert [m.text for m in first[5:]] == ["so:", "6"]
    assert second[:5] == first[:5]
    assert [m.text for m in second[5:]] == ["", "salt costs 3 euros", "9"]
    assert "check the sum" not in str(second)


@feature(NAME, "tools seen")
def test_code_is_a_call_of_the_interpreter_with_what_it_printed() -> None:
    judge = ScriptedJudge([(0.3, "check the sum"), 0.8])
    model = Scripted(
        code('p = price(item="egg")\nprint(p)'), code("1 / 0"), code("final_answer(6)"), code("final_answer(9)")
    )
    with critique_of(model, judge=judge, kind=CodeAgent) as agent:
        assert agent.run("What do they cost?") == 9
    first, second = (trajectory.messages for _, trajectory in judge.seen)
    assert [m.role for m in first] == ["assistant", "tool", "assistant", "tool", "assistant", "tool", "assistant"]
    assert first[0].text == "Thought: I compute."
    (made,) = first[0].tool_calls or ()
    assert made.name == "python_interpreter"
    assert made.arguments_text == '{"code": "p = price(item=\\"egg\\")\\nprint(p)"}'
    assert "egg costs 3 euros" in first[1].text
    assert first[1].tool_call_id == made.id
    assert "division by zero" in first[3].text.lower()
    assert second[:6] == first[:6]
    assert second[-1].text == "9"
    assert "check the sum" not in str(second)


@feature(NAME, "memory kept")
@pytest.mark.parametrize("kind", [ToolCallingAgent, CodeAgent])
@pytest.mark.parametrize(("scores", "kept"), [((0.8, 0.3), "draft"), ((0.3, 0.8), "better")])
def test_the_agent_remembers_the_tools_and_the_chosen_answer_alone(
    scores: tuple[float, float], kept: str, kind: Any
) -> None:
    def said(text: str) -> Any:
        return final(text) if kind is ToolCallingAgent else code(f"final_answer({text!r})")

    used = call("price", "c1", item="egg") if kind is ToolCallingAgent else code('print(price(item="egg"))')
    model = Scripted(used, said("draft"), said("better"), said("next"), said("next"))
    judge = ScriptedJudge([(scores[0], "look again"), scores[1], 0.9])
    with critique_of(model, judge=judge, kind=kind) as agent:
        assert agent.run("What does an egg cost?") == kept
        steps = agent.agent.memory.steps
        assert [type(step) for step in steps] == [TaskStep, ActionStep, ActionStep]
        assert steps[0].task == "What does an egg cost?"
        assert "egg costs 3 euros" in steps[1].observations
        assert not any(word in str(steps) for word in {"draft", "better", "look again"} - {kept})
        assert agent.memory is agent.agent.memory
        assert agent.run("And now?", reset=False) == "next"
    later = model.seen[3]
    assert kept in later
    assert not any(word in later for word in {"draft", "better", "look again"} - {kept})
    task = judge.seen[2][0]
    assert task.question == "And now?"
    assert task.history[0].text == "What does an egg cost?"
    assert task.history[-1].text == kept
    assert "egg costs 3 euros" in str(task.history)


@feature(NAME, "stream")
def test_a_stream_holds_the_final_answer_and_nothing_of_rejected_drafts_or_the_judge() -> None:
    model = Scripted(call("price", "c1", item="egg"), final("draft"), final("better"))
    with critique_of(model, (0.3, "look again"), 0.8) as agent:
        stream = agent.run("q", stream=True)
        assert not model.seen
        assert list(stream) == [FinalAnswerStep("better")]
        assert last_run(agent).score == 0.8


def test_models_that_stream_are_metered_as_well() -> None:
    class Streaming(Scripted):
        def generate_stream(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
            message = self.generate(messages)
            yield ChatMessageStreamDelta(content=str(message.content))
            yield ChatMessageStreamDelta(token_usage=message.token_usage)

    model = Streaming(code("final_answer(1)"))
    with critique_of(model, 0.9, kind=CodeAgent, stream_outputs=True, policy=Policy(rounds=0)) as agent:
        assert agent.run("q") == 1
    assert last_run(agent).attempts[0].trajectory.usage.prompt_tokens == 10


@feature(NAME, "budget")
def test_the_budget_of_calls_is_exact_in_the_middle_of_an_attempt() -> None:
    model = Scripted(*(call("price", f"c{n}", item="egg") for n in range(5)))
    judge = ScriptedJudge([0.3])
    with critique_of(model, judge=judge, budget=Budget(calls=3)) as agent, pytest.raises(BudgetExceeded) as failed:
        agent.run("q")
    assert len(model.seen) == 3
    assert not judge.seen
    assert failed.value.run is not None
    assert failed.value.run.usage.calls == 3
    assert failed.value.run.usage.prompt_tokens == 30
    assert failed.value.run.usage.cost_usd is None


@feature(NAME, "budget")
def test_a_revision_that_the_budget_stops_leaves_the_draft_also_at_the_step_limit() -> None:
    for steps in (2, 6):
        model = Scripted(final("draft"), *(call("price", f"c{n}", item="egg") for n in range(6)))
        with critique_of(model, 0.3, budget=Budget(calls=4), max_steps=steps) as agent:
            assert agent.run("q") == "draft"
        assert last_run(agent).stop is StopReason.BUDGET
        assert len(model.seen) == 3
        assert last_run(agent).usage.calls == 4
        assert len(last_run(agent).attempts) == 1
        assert "draft" in str(agent.agent.memory.steps[-1])


def test_calls_of_managed_agents_are_admitted_and_counted() -> None:
    def team(budget: Budget) -> tuple[CritiqueAgent, Scripted]:
        inner = Scripted(final("3 euros"))
        helper = agent_of(inner, name="helper", description="helps")
        model = Scripted(call("helper", "c1", task="egg?", additional_args={}), final("3"))
        return critique_of(model, 0.9, managed_agents=[helper], budget=budget, policy=Policy(rounds=0)), inner

    agent, inner = team(Budget(calls=9))
    with agent:
        assert agent.run("q") == "3"
    assert last_run(agent).usage.calls == 4
    assert last_run(agent).attempts[0].trajectory.usage.prompt_tokens == 30
    assert inner.seen
    agent, inner = team(Budget(calls=1))
    with agent, pytest.raises(BudgetExceeded):
        agent.run("q")
    assert not inner.seen


def test_the_step_limit_is_told_and_holds_for_each_attempt() -> None:
    used = [call("price", f"c{n}", item="egg") for n in range(4)]
    model = Scripted(used[0], used[1], "about 3", used[2], used[3], "3")
    with critique_of(model, 0.3, 0.8) as agent:
        assert agent.run("q", max_steps=2) == "3"
    assert [attempt.trajectory.stop for attempt in last_run(agent).attempts] == [AgentStop.STEP_LIMIT] * 2
    assert "about 3" not in str(agent.agent.memory.steps)


@feature(NAME, "cancellation")
@pytest.mark.parametrize("where", ["model", "tool"])
def test_cancelling_returns_at_once_and_the_agent_makes_no_further_call(where: str) -> None:
    started, release, threads = threading.Event(), threading.Event(), []

    def block() -> str:
        threads.append(threading.current_thread())
        started.set()
        release.wait(120)
        return "done"

    @tool
    def slow() -> str:
        """Blocks."""
        return block()

    def thinking() -> Any:
        block()
        return call("price", "c1", item="egg")

    model = Scripted(thinking if where == "model" else call("slow", "c1"), final("never"))
    stepped: list[Any] = []
    agent = critique_of(model, 0.9, tools=[slow], step_callbacks=[lambda step, agent: stepped.append(step)])

    async def cancelled() -> None:
        work = asyncio.ensure_future(agent.arun("q"))
        assert await asyncio.to_thread(started.wait, 60)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work

    asyncio.run(cancelled())
    release.set()
    threads[0].join(60)
    assert not threads[0].is_alive()
    assert len(model.seen) == 1
    assert len(stepped) == 1
    assert agent.agent.memory.steps == []


def test_an_attempt_that_was_given_up_makes_no_call_even_where_the_framework_forgets_it() -> None:
    gate = Gate(Meter())
    gate.admit()
    assert gate.close()
    with pytest.raises(RuntimeError, match="cancelled"):
        gate.admit()
    assert gate.used.calls == 1
    assert not gate.close()


@feature(NAME, "cancellation")
def test_cancelling_stops_the_judge() -> None:
    async def cancelled() -> None:
        started, stopped = asyncio.Event(), asyncio.Event()

        async def judge(task: Task, trajectory: Trajectory) -> float:
            started.set()
            try:
                await asyncio.Event().wait()
            finally:
                stopped.set()
            return 0.0

        work = asyncio.ensure_future(critique_of(Scripted(final("a")), judge=judge).arun("q"))
        await asyncio.wait_for(started.wait(), 60)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        assert stopped.is_set()

    asyncio.run(cancelled())


def test_the_deadline_ends_a_revision_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    left = property(lambda meter: 0.2 if meter.usage.calls >= 2 else 600.0)  # the draft and its verdict take two calls
    monkeypatch.setattr(Meter, "remaining_seconds", left)

    def hang() -> Any:
        release.wait(120)
        return final("late")

    agent = critique_of(Scripted(final("draft"), hang), 0.3, budget=Budget(seconds=600))
    assert asyncio.run(agent.arun("q")) == "draft"
    release.set()
    assert last_run(agent).stop is StopReason.BUDGET


@feature(NAME, "judge failure")
def test_a_judge_that_fails_leaves_the_draft_unjudged_or_raises_as_the_policy_says() -> None:
    with critique_of(Scripted(final("draft")), VerdictStatus.UNAVAILABLE) as agent:
        assert agent.run("q") == "draft"
        assert last_run(agent).status is RunStatus.UNJUDGED
    policy = Policy(on_judge_failure="raise")
    raising = critique_of(Scripted(final("draft")), RuntimeError("no judge"), policy=policy)
    with raising, pytest.raises(JudgeFailed) as failed:
        raising.run("q")
    assert failed.value.run is not None
    assert failed.value.run.answer == "draft"


def test_arguments_callbacks_and_the_log_are_used(tmp_path: Path) -> None:
    stepped: list[Any] = []
    judge = ScriptedJudge([0.9])
    model = Scripted(final("a"))
    agent = critique_of(
        model,
        judge=judge,
        log=tmp_path / "runs.jsonl",
        step_callbacks=[lambda step, agent: stepped.append(step)],
    )
    with agent:
        agent.run("q", additional_args={"budget": 42})
    assert "42" in model.seen[0]
    assert "42" in judge.seen[0][0].question
    assert isinstance(stepped[0], ActionStep)
    assert list(RunLog(tmp_path / "runs.jsonl").read()) == [agent.last_run]


def test_a_revision_that_fails_leaves_the_draft_and_a_first_attempt_that_fails_raises() -> None:
    with critique_of(Scripted(final("draft"), RuntimeError("down")), 0.3) as agent:
        assert agent.run("q") == "draft"
    assert last_run(agent).stop is StopReason.REVISION_FAILED
    with critique_of(Scripted(RuntimeError("down")), 0.3) as agent, pytest.raises(AgentGenerationError, match="down"):
        agent.run("q")
    with pytest.raises(InvalidInput, match="no agent"):
        CritiqueAgent(print, ScriptedJudge([0.5]))
    with pytest.raises(AttributeError):
        _ = agent.no_such_thing


def test_interrupting_stops_the_agent_before_its_next_step() -> None:
    def interrupting() -> Any:
        agent.interrupt()
        return call("price", "c1", item="egg")

    model = Scripted(final("draft"), interrupting, final("never"))
    agent = critique_of(model, 0.3)
    with agent:
        assert agent.run("q") == "draft"
    assert len(model.seen) == 2
    assert "interrupted" in last_run(agent).notes[-1]


def test_calls_at_the_same_time_wait_for_each_other() -> None:
    model = Scripted(*(final(f"a{n}") for n in range(8)))

    async def many() -> list[Any]:
        agent = critique_of(model, 0.9, policy=Policy(rounds=0))
        return list(await asyncio.gather(*(agent.arun(f"q{n}") for n in range(8))))

    assert sorted(asyncio.run(many())) == [f"a{n}" for n in range(8)]
    assert all(sum(f"q{n}" in seen for n in range(8)) == 1 for seen in model.seen)


def test_it_can_be_a_managed_agent() -> None:
    helper = critique_of(Scripted(final("4"), final("3")), 0.3, 0.8, name="helper", description="helps")
    manager = agent_of(
        Scripted(call("helper", "c1", task="egg?", additional_args={}), final("3")), managed_agents=[helper]
    )
    assert manager.run("q") == "3"
    assert "3" in manager.memory.steps[1].observations
    assert len(last_run(helper).attempts) == 2
    helper.close()


def checked(*outcomes: Any, model: Scripted, kind: Any = ToolCallingAgent, **more: Any) -> tuple[Any, list[Run], Any]:
    runs: list[Run] = []
    judge = ScriptedJudge(outcomes)
    check = critique_check(
        judge,
        **{"policy": ONCE, **more},
        observe=lambda e: runs.append(e.run) if isinstance(e, RunFinished) else None,
    )
    return agent_of(model, kind, final_answer_checks=[check]), runs, judge


@feature(CHECK, "sync", "tools seen")
def test_a_check_refuses_an_answer_with_the_critique() -> None:
    model = Scripted(call("price", "c1", item="egg"), final("draft"), call("price", "c2", item="ham"), final("better"))
    agent, runs, judge = checked((0.3, "look again"), 0.8, model=model, policy=Policy(rounds=2, accept=0.7))
    assert agent.run("q") == "better"
    assert "look again" in model.seen[2]
    first, second = (trajectory.messages for _, trajectory in judge.seen)
    assert [m.text for m in first] == ["", "egg costs 3 euros", "draft"]
    assert [m.text for m in second] == ["", "egg costs 3 euros", "", "ham costs 3 euros", "better"]
    assert "look again" not in str(second)
    (run,) = runs
    assert run.answer == "better"
    assert run.policy.keep == "last"
    assert (run.usage.calls, run.usage.prompt_tokens) == (6, 30)  # the last call's tokens come after the check


@feature(CHECK, "budget", "judge failure")
def test_a_check_lets_answers_pass_when_the_budget_ends_or_the_judge_fails() -> None:
    model = Scripted(final("draft"))
    agent, runs, _ = checked(0.3, model=model, budget=Budget(calls=2))
    assert agent.run("q") == "draft"
    assert runs[0].stop is StopReason.BUDGET
    agent, runs, _ = checked(VerdictStatus.UNAVAILABLE, model=Scripted(final("draft")))
    assert agent.run("q") == "draft"
    assert runs[0].status is RunStatus.UNJUDGED


def test_a_check_judges_each_run_by_itself() -> None:
    model = Scripted(final("a"), final("b"), final("c"), final("d"))
    agent, runs, judge = checked(0.3, 0.3, model=model)
    assert agent.run("first") == "b"
    assert agent.run("second", reset=False) == "d"
    assert [run.task.question for run in runs] == ["first", "second"]
    assert "b" in [message.text for message in judge.seen[1][0].history]


def test_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import reagent_adapters.smolagents as module

    versions.require.cache_clear()
    monkeypatch.setattr(versions, "version", lambda package: "0.1")
    with pytest.raises(versions.UnsupportedVersion, match=r"smolagents 0\.1 is installed"):
        importlib.reload(module)
    versions.require.cache_clear()


def test_the_examples_of_the_page_run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    verdict = "<analysis>\nLooked at it.\n</analysis>\n<critique>\nFine.\n</critique>\n<score>0.9</score>"
    page = Document.parse(str(Path(__file__).parents[2] / "docs/adapters/smolagents.md"), PythonCodeBlockParser())
    monkeypatch.setattr(
        "smolagents.OpenAIServerModel", lambda name: Scripted(*[code("final_answer(3.6)")] * 3), raising=False
    )
    with ChatServer([verdict]) as server:
        monkeypatch.setenv("REAGENT_JUDGE", server.base_url)
        for example in page.examples():
            example.evaluate()
    assert "3.6 Returned attempt" in capsys.readouterr().out
    assert len(server.requests) >= 2


@pytest.mark.real_model
def test_a_real_model_behind_a_real_server(model_url: str) -> None:  # noqa: F811
    pytest.importorskip("openai")
    from smolagents import OpenAIServerModel

    model = OpenAIServerModel(MODEL, api_base=model_url, api_key=KEY, max_tokens=24, temperature=0.0)
    agent = critique_of(model, (0.3, "Name the colour alone."), 0.8, max_steps=1)  # so small a model seldom calls tools
    with agent:
        answer = agent.run("What colour is the sky?")
    model.client.close()
    run = last_run(agent)
    assert len(run.attempts) == 2
    assert run.answer is not None
    assert run.answer.strip() == str(answer).strip()
    assert run.usage.prompt_tokens > 60
