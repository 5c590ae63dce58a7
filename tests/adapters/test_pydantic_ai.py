"""pydantic-ai with its own function model, and once with a real one."""

from __future__ import annotations

import asyncio
import importlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pydantic_ai")

import pydantic_ai.models
from pydantic import BaseModel
from pydantic_ai import Agent, AgentRunResult, ModelRetry, RunContext, UsageLimitExceeded, UsageLimits
from pydantic_ai.agent import WrapperAgent
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    UserPromptPart,
)
from pydantic_ai.models.function import FunctionModel
from pydantic_ai.models.test import TestModel
from pydantic_ai.tools import DeferredToolRequests, DeferredToolResults
from pydantic_ai.usage import RunUsage
from reagent_adapters import versions
from reagent_adapters.pydantic_ai import CritiqueAgent, output_critic, run_of
from sybil import Document
from sybil.parsers.markdown import PythonCodeBlockParser

from reagent_sdk import Budget, BudgetExceeded, InvalidInput, JudgeFailed, Policy, RunLog, StopReason, VerdictStatus
from reagent_sdk.events import RunFinished
from reagent_sdk.run import Run, RunStatus
from reagent_sdk.task import Task
from reagent_sdk.testing import ChatServer, ScriptedJudge
from reagent_sdk.trajectory import Trajectory
from reagent_sdk.verdict import Verdict

from .real_model import KEY, MODEL, model_url  # noqa: F401 - a fixture

NAME = "pydantic-ai"
VALIDATOR = "pydantic-ai validator"
NOT_APPLICABLE = {
    (VALIDATOR, "stream"): "the framework shows an output before it validates it; wrap the agent to stream",
    (VALIDATOR, "memory kept"): "the framework keeps its retries in the messages; wrap the agent to leave drafts out",
}
ONCE = Policy(rounds=1)
feature = pytest.mark.feature


def call(name: str, id: str, **arguments: Any) -> ToolCallPart:
    return ToolCallPart(tool_name=name, args=arguments, tool_call_id=id)


class Script:
    """Gives the scripted responses in order; remembers what it was asked."""

    def __init__(self, *script: Any) -> None:
        self.script = list(script)
        self.seen: list[list[ModelMessage]] = []

    async def respond(self, messages: list[ModelMessage], info: Any) -> ModelResponse:
        self.seen.append(list(messages))
        step = self.script.pop(0)
        if isinstance(step, Exception):
            raise step
        if callable(step):
            step = await step()
        parts = step if isinstance(step, list) else [TextPart(step) if isinstance(step, str) else step]
        return ModelResponse(parts=parts)


def agent_of(script: Script, **more: Any) -> Agent[Any, Any]:
    agent: Agent[Any, Any] = Agent(FunctionModel(script.respond), name="shop", **more)

    @agent.tool_plain
    def price(item: str) -> str:
        """The price of an item."""
        return f"{item} costs 3 euros"

    return agent


def critique_of(script: Script, *outcomes: Any, policy: Policy = ONCE, **more: Any) -> CritiqueAgent[Any, Any]:
    settings = {name: more.pop(name) for name in ("budget", "log") if name in more}
    judge = more.pop("judge", None) or ScriptedJudge(outcomes)
    return CritiqueAgent(agent_of(script, **more), judge, policy=policy, **settings)


def roles(messages: Any) -> list[str]:
    return [f"{message.role}{'+calls' if message.tool_calls else ''}" for message in messages]


@feature(NAME, "async", "best kept")
def test_the_result_is_the_frameworks_own_and_that_of_the_better_attempt() -> None:
    for scores, best in (((0.8, 0.3), "first"), ((0.3, 0.8), "second")):
        agent = critique_of(Script("first", "second"), *scores)
        result = asyncio.run(agent.run("What is it?"))
        assert type(result) is AgentRunResult
        assert result.output == best
        run = run_of(result)
        assert [attempt.answer for attempt in run.attempts] == ["first", "second"]
        assert run.stop is StopReason.ROUNDS
        assert result.usage.requests == 2  # of both attempts
        assert run.usage.prompt_tokens == result.usage.input_tokens > 0
        assert run.usage.completion_tokens == result.usage.output_tokens > 0


def test_the_agent_reads_the_critique_after_its_draft_and_nothing_else_of_the_verdict() -> None:
    script = Script("first", "second")
    verdict = Verdict.of(0.31, "count the eggs", analysis="secret analysis")
    asyncio.run(critique_of(script, verdict, 0.9).run("How many?"))
    asked, draft, request = script.seen[1]
    assert "How many?" in str(asked)
    assert isinstance(draft, ModelResponse)
    assert "count the eggs" in str(request)
    assert "secret analysis" not in str(script.seen)
    assert "0.31" not in str(script.seen)


@feature(NAME, "sync")
def test_blocking_calls_work_in_scripts_threads_and_running_loops() -> None:
    def blocking(outcome: list[Any]) -> None:
        script = Script("first", "second", "third", "fourth")
        with critique_of(script, 0.3, 0.8, 0.3, 0.8) as agent:
            outcome += [agent.run_sync("q").output, agent.run_sync("q").output]

    outcome: list[Any] = []
    blocking(outcome)
    thread = threading.Thread(target=blocking, args=(outcome,))
    thread.start()
    thread.join(60)

    async def notebook() -> None:
        blocking(outcome)

    asyncio.run(notebook())
    assert outcome == ["second", "fourth"] * 3


@feature(NAME, "tools seen")
def test_the_judge_sees_reasoning_calls_and_results_also_those_that_a_revision_builds_on() -> None:
    judge = ScriptedJudge([(0.3, "check the sum"), 0.8])
    calls = [ThinkingPart("I need a price"), call("price", "c1", item="egg"), call("price", "c2", item="ham")]
    script = Script(calls, "6", call("price", "c3", item="salt"), "9")
    result = asyncio.run(critique_of(script, judge=judge).run("What do they cost?"))
    assert result.output == "9"
    first, second = (trajectory.messages for _, trajectory in judge.seen)
    assert roles(first) == ["assistant+calls", "tool", "tool", "assistant"]
    assert first[0].reasoning == "I need a price"
    assert [(c.id, c.name, c.arguments_text) for c in first[0].tool_calls or ()] == [
        ("c1", "price", '{"item":"egg"}'),
        ("c2", "price", '{"item":"ham"}'),
    ]
    assert (first[1].tool_call_id, first[1].text) == ("c1", "egg costs 3 euros")
    assert second[:3] == first[:3]
    assert [message.text for message in second[3:]] == ["", "salt costs 3 euros", "9"]
    assert "check the sum" not in str(second)


class Sum(BaseModel):
    total: int


@feature(NAME, "memory kept")
@pytest.mark.parametrize("typed", [False, True])
@pytest.mark.parametrize(("scores", "kept"), [((0.8, 0.3), 5), ((0.3, 0.8), 6)])
def test_the_next_turn_knows_the_tools_and_the_chosen_answer_alone(
    scores: tuple[float, float], kept: int, typed: bool
) -> None:
    def said(total: int) -> Any:
        return call("final_result", f"f{total}", total=total) if typed else f"total {total}"

    async def turns() -> None:
        judge = ScriptedJudge([(scores[0], "look again"), scores[1], 0.9])
        script = Script("hello", call("price", "c1", item="egg"), said(5), said(6), said(7), said(7))
        agent = critique_of(script, judge=judge, output_type=Sum if typed else str)
        history: list[Any] = [ModelRequest(parts=[UserPromptPart("hi")]), ModelResponse(parts=[TextPart("hello")])]
        script.script.pop(0)
        result = await agent.run("How much is it?", message_history=history)
        assert result.output == (Sum(total=kept) if typed else f"total {kept}")
        messages = result.all_messages()
        assert messages[:2] == history
        assert result.new_messages() == messages[2:]
        kinds = [message.kind for message in messages[2:]]
        assert kinds == ["request", "response", "request", "response", *(["request"] if typed else [])]
        assert "look again" not in str(messages)
        assert str(said(kept)) in str(messages) or f"total {kept}" in str(messages)
        other = 11 - kept
        assert f"'total': {other}" not in str(messages)
        assert f"total {other}" not in str(messages)
        later = await agent.run("And now?", message_history=messages)
        assert later.output == (Sum(total=7) if typed else "total 7")
        task = judge.seen[-1][0]
        assert task.question == "And now?"
        assert [message.text for message in task.history if message.role == "tool"][:1] == ["egg costs 3 euros"]
        assert [t.answer for _, t in judge.seen[:2]] == (
            ['{"total":5}', '{"total":6}'] if typed else ["total 5", "total 6"]
        )
        assert [m.text for m in judge.seen[0][1].messages][-1] == judge.seen[0][1].answer

    asyncio.run(turns())


@feature(NAME, "stream")
def test_streams_hold_the_final_answer_and_nothing_of_rejected_drafts_or_the_judge() -> None:
    heard: list[Any] = []

    async def handler(ctx: Any, events: Any) -> None:
        heard.extend([event async for event in events])

    async def streamed() -> tuple[list[str], list[Any], Any]:
        script = Script(call("price", "c1", item="egg"), "draft", "better")
        async with critique_of(script, (0.3, "look again"), 0.8).run_stream("q") as stream:
            texts = [text async for text in stream.stream_text()]
            assert await stream.get_output() == "better"
            assert "draft" not in str(stream.all_messages())
            assert run_of(stream).score == 0.8
        agent = critique_of(Script("draft", "better"), (0.3, "look again"), 0.8)
        async with agent.run_stream_events("q") as stream_events:
            events = [event async for event in stream_events]
        with pytest.raises(InvalidInput, match="rejected drafts"):
            await agent.run("q", event_stream_handler=handler)
        typed = critique_of(Script(call("final_result", "f", total=3)), 0.9, output_type=Sum, policy=Policy(rounds=0))
        async with typed.run_stream("q") as stream:
            outputs = [output async for output in stream.stream_output()]
        return texts, events, outputs

    texts, events, outputs = asyncio.run(streamed())
    assert texts == ["better"]
    assert [event.event_kind for event in events] == ["part_start", "final_result", "agent_run_result"]
    assert events[0].part.content == "better"
    assert events[2].result.output == "better"
    assert "draft" not in str(events)
    assert outputs == [Sum(total=3)]
    assert not heard


@pytest.mark.usefixtures("own_loop")
def test_the_blocking_stream_holds_the_final_answer_as_well() -> None:
    with critique_of(Script("draft", "better"), (0.3, "look again"), 0.8) as agent:
        stream = agent.run_stream_sync("q")
        assert list(stream.stream_text()) == ["better"]
        assert "draft" not in str(stream.all_messages())


def test_a_conversation_goes_on_from_the_chosen_answer() -> None:
    pytest.importorskip("pydantic_ai.conversation")
    script = Script("draft", "better", "worse", "last")
    agent = critique_of(script, (0.3, "look again"), 0.8, 0.8, 0.3)
    first = asyncio.run(agent.run("q"))
    second = asyncio.run(agent.run("And now?", conversation=first.conversation))
    assert second.output == "worse"
    assert [message.kind for message in second.all_messages()] == ["request", "response"] * 2
    assert "draft" not in str(script.seen[2])
    assert "better" in str(script.seen[2])
    assert second.conversation.conversation_id == first.conversation.conversation_id
    assert second.usage.requests == 4
    assert run_of(second).usage.calls == 4  # two requests and two verdicts: the first turn's are its own
    assert first.usage.requests == 2


def test_the_agents_own_event_handler_hears_no_drafts() -> None:
    heard: list[Any] = []

    async def handler(ctx: Any, events: Any) -> None:
        heard.extend([event async for event in events])

    class Watched(WrapperAgent[Any, Any]):
        event_stream_handler = property(lambda self: handler)

    watched = Watched(Agent(TestModel(custom_output_text="fine")))
    asyncio.run(watched.run("q"))
    assert heard
    heard.clear()
    agent = CritiqueAgent(watched, ScriptedJudge([0.9]))
    assert asyncio.run(agent.run("q")).output == "fine"
    assert heard == []


@feature(NAME, "budget")
def test_the_budget_of_calls_is_exact_in_the_middle_of_an_attempt() -> None:
    judge = ScriptedJudge([0.3])
    script = Script(*(call("price", f"c{n}", item="egg") for n in range(5)))
    with pytest.raises(BudgetExceeded) as failed:
        asyncio.run(critique_of(script, judge=judge, budget=Budget(calls=3)).run("q"))
    assert len(script.seen) == 3
    assert not judge.seen
    assert failed.value.run is not None
    assert failed.value.run.usage.calls == 3
    assert failed.value.run.usage.cost_usd is None


@feature(NAME, "budget")
def test_a_revision_that_the_budget_stops_leaves_the_draft() -> None:
    script = Script("draft", call("price", "c1", item="egg"), call("price", "c2", item="egg"), "better")
    result = asyncio.run(critique_of(script, 0.3, budget=Budget(calls=4)).run("q"))
    assert result.output == "draft"
    assert run_of(result).stop is StopReason.BUDGET
    assert len(script.seen) == 3
    assert run_of(result).usage.calls == 4


def test_usage_limits_hold_for_all_attempts_together() -> None:
    result = asyncio.run(
        critique_of(Script("draft", "better"), 0.3).run("q", usage_limits=UsageLimits(request_limit=1))
    )
    assert result.output == "draft"
    assert run_of(result).stop is StopReason.REVISION_FAILED
    steps = [call("price", f"c{n}", item="egg") for n in range(5)]
    with pytest.raises(UsageLimitExceeded):
        asyncio.run(critique_of(Script(*steps), 0.3).run("q", usage_limits=UsageLimits(request_limit=2)))
    total = RunUsage()
    asyncio.run(critique_of(Script("draft", "better"), 0.3, 0.4).run("q", usage=total))
    assert total.requests == 2


def test_requests_of_agents_that_tools_run_are_counted() -> None:
    inner: Agent[Any, str] = Agent(FunctionModel(Script("3 euros").respond))

    async def ask(ctx: RunContext[Any]) -> str:
        return (await inner.run("egg?", usage=ctx.usage)).output

    agent = critique_of(Script(call("ask", "c1"), "3"), 0.9, policy=Policy(rounds=0), tools=[ask])
    result = asyncio.run(agent.run("q"))
    run = run_of(result)
    assert run.usage.calls == 4  # the outer model twice, the inner one once, the judge once
    assert run.usage.prompt_tokens == result.usage.input_tokens


def test_known_prices_are_counted() -> None:
    async def priced() -> Any:
        return [TextPart("fine")]

    class Priced(FunctionModel):
        async def request(self, *args: Any, **kwargs: Any) -> ModelResponse:
            response = await super().request(*args, **kwargs)
            response.model_name, response.provider_name = "gpt-4o-mini", "openai"
            return response

    agent = CritiqueAgent(Agent(Priced(Script(priced).respond)), ScriptedJudge([0.9]), policy=Policy(rounds=0))
    usage = run_of(asyncio.run(agent.run("q"))).attempts[0].trajectory.usage
    assert usage.unpriced_calls == 0
    assert usage.priced_usd > 0


@feature(NAME, "cancellation")
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("where", ["model", "tool", "judge"])
def test_cancelling_the_call_stops_whoever_works(where: str, streamed: bool) -> None:
    async def cancelled() -> None:
        started, stopped = asyncio.Event(), asyncio.Event()

        async def hang(*_: Any) -> Any:
            started.set()
            try:
                await asyncio.Event().wait()
            finally:
                stopped.set()

        async def slow() -> str:
            return str(await hang())

        async def judge(task: Task, trajectory: Trajectory) -> float:
            return float(await hang())

        steps: dict[str, Any] = {"model": hang, "tool": call("slow", "c1"), "judge": "draft"}
        agent = critique_of(Script(steps[where]), 0.5, judge=judge if where == "judge" else None, tools=[slow])
        work = asyncio.ensure_future(_drained(agent) if streamed else agent.run("q"))
        await asyncio.wait_for(started.wait(), 60)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        await asyncio.wait_for(stopped.wait(), 60)

    asyncio.run(cancelled())


async def _drained(agent: CritiqueAgent[Any, Any]) -> Any:
    async with agent.run_stream_events("q") as events:
        return [event async for event in events]


@feature(NAME, "judge failure")
def test_a_judge_that_fails_leaves_the_draft_unjudged_or_raises_as_the_policy_says() -> None:
    result = asyncio.run(critique_of(Script("draft"), VerdictStatus.UNAVAILABLE).run("q"))
    assert result.output == "draft"
    assert run_of(result).status is RunStatus.UNJUDGED
    raising = critique_of(Script("draft"), RuntimeError("no judge"), policy=Policy(on_judge_failure="raise"))
    with pytest.raises(JudgeFailed) as failed:
        asyncio.run(raising.run("q"))
    assert failed.value.run is not None
    assert failed.value.run.answer == "draft"


def test_deps_output_type_model_and_log_are_used(tmp_path: Path) -> None:
    agent = critique_of(Script(), 0.3, 0.8, deps_type=str, log=tmp_path / "runs.jsonl", system_prompt="You sell eggs.")

    @agent.wrapped.tool  # type: ignore[attr-defined, untyped-decorator]
    def owner(ctx: RunContext[str]) -> str:
        return ctx.deps

    script = Script(call("owner", "c1"), call("final_result", "f1", total=1), call("final_result", "f2", total=2))
    result = asyncio.run(agent.run("q", deps="Ann", output_type=Sum, model=FunctionModel(script.respond)))
    assert result.output == Sum(total=2)
    assert "Ann" in str(script.seen[1])
    assert list(RunLog(tmp_path / "runs.jsonl").read()) == [run_of(result)]


def test_a_result_that_waits_for_approval_is_returned_and_goes_on_later() -> None:
    async def approved() -> None:
        judge = ScriptedJudge([(0.3, "say more"), 0.8])
        script = Script(call("delete", "c1"), "gone", "all gone")
        wrapped: Agent[Any, Any] = Agent(FunctionModel(script.respond), output_type=[str, DeferredToolRequests])

        @wrapped.tool_plain(requires_approval=True)
        def delete() -> str:
            return "deleted"

        agent = CritiqueAgent(wrapped, judge, policy=ONCE)
        waiting = await agent.run("delete it")
        assert isinstance(waiting.output, DeferredToolRequests)
        assert not judge.seen
        results = DeferredToolResults(approvals={"c1": True})
        result = await agent.run(message_history=waiting.all_messages(), deferred_tool_results=results)
        assert result.output == "all gone"
        assert judge.seen[0][0].question == "delete it"
        assert [message.text for message in judge.seen[0][1].messages] == ["", "deleted", "gone"]
        assert [message.text for message in judge.seen[1][1].messages] == ["", "deleted", "all gone"]
        assert [message.kind for message in result.all_messages()] == ["request", "response", "request", "response"]

    asyncio.run(approved())


def test_a_revision_that_fails_leaves_the_draft_and_a_first_attempt_that_fails_raises() -> None:
    result = asyncio.run(critique_of(Script("draft", RuntimeError("down")), 0.3).run("q"))
    assert result.output == "draft"
    assert run_of(result).stop is StopReason.REVISION_FAILED
    with pytest.raises(RuntimeError, match="down"):
        asyncio.run(critique_of(Script(RuntimeError("down")), 0.3).run("q"))
    with pytest.raises(InvalidInput):
        asyncio.run(critique_of(Script("a"), 0.3).run())
    with pytest.raises(InvalidInput, match="no critique"):
        run_of("a text")


def test_the_agent_is_entered_and_its_nodes_can_be_seen() -> None:
    async def nodes() -> list[str]:
        agent = critique_of(Script("draft"), 0.3)
        async with agent as entered:
            assert entered is agent
            async with entered.iter("q") as run:
                return [type(node).__name__ async for node in run]

    assert asyncio.run(nodes())[-1] == "End"


def test_many_runs_at_once_do_not_mix() -> None:
    async def many() -> list[Any]:
        agents = [CritiqueAgent(agent_of(Script(f"draft {n}", f"better {n}")), _grade, policy=ONCE) for n in range(10)]
        results = await asyncio.gather(*(agent.run(f"q{n}") for n, agent in enumerate(agents)))
        return [result.output for result in results]

    assert asyncio.run(many()) == [f"better {n}" for n in range(10)]


def _grade(task: Task, trajectory: Trajectory) -> Verdict:
    return Verdict.of(0.8 if trajectory.answer.startswith("better") else 0.3, f"try {task.question} again")


def validated(script: Script, *outcomes: Any, retries: int = 1, **more: Any) -> tuple[Agent[Any, Any], list[Run]]:
    runs: list[Run] = []
    agent = agent_of(script, retries={"output": retries}, **{k: more.pop(k) for k in ("output_type",) if k in more})
    judge = more.pop("judge", None) or ScriptedJudge(outcomes)
    critic = output_critic(
        judge, **{"policy": ONCE, **more}, observe=lambda e: runs.append(e.run) if isinstance(e, RunFinished) else None
    )
    agent.output_validator(critic)
    return agent, runs


@pytest.fixture
def own_loop() -> Iterator[None]:
    """The framework's `run_sync` takes the thread's event loop, and would leave one that it makes open."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    held = asyncio.all_tasks(loop)  # a blocking stream holds its run in a task
    for task in held:
        task.cancel()
    if held:
        loop.run_until_complete(asyncio.wait(held))
    asyncio.set_event_loop(None)
    loop.close()


@feature(VALIDATOR, "async", "sync", "best kept", "tools seen")
@pytest.mark.usefixtures("own_loop")
@pytest.mark.parametrize("typed", [False, True])
@pytest.mark.parametrize(("scores", "kept"), [((0.8, 0.3), 5), ((0.3, 0.8), 6)])
def test_the_validator_gives_the_best_output_and_sends_the_agent_back_with_the_critique(
    scores: tuple[float, float], kept: int, typed: bool
) -> None:
    def said(total: int) -> Any:
        return call("final_result", f"f{total}", total=total) if typed else f"{total}"

    script = Script(call("price", "c1", item="egg"), said(5), said(6))
    judge = ScriptedJudge([(scores[0], "look again"), scores[1]])
    agent, runs = validated(script, judge=judge, output_type=Sum if typed else str)
    history: list[Any] = [ModelRequest(parts=[UserPromptPart("hi")]), ModelResponse(parts=[TextPart("hello")])]
    result = agent.run_sync("How much?", message_history=history)
    assert result.output == (Sum(total=kept) if typed else f"{kept}")
    assert "look again" in str(script.seen[2])
    task, first = judge.seen[0]
    assert (task.question, [message.text for message in task.history]) == ("How much?", ["hi", "hello"])
    assert roles(first.messages) == ["assistant+calls", "tool", "assistant"]
    assert roles(judge.seen[1][1].messages) == ["assistant+calls", "tool", "assistant"]
    assert judge.seen[1][1].messages[-1].text == judge.seen[1][1].answer
    assert "look again" not in str(judge.seen[1][1])
    (run,) = runs
    assert run.chosen == kept - 5
    assert run.usage.calls == 5
    assert run.usage.prompt_tokens == result.usage.input_tokens


@feature(VALIDATOR, "best kept")
def test_a_validator_stops_where_the_agents_retries_end() -> None:
    agent, runs = validated(Script("a", "b", "c"), 0.8, 0.3, 0.2, policy=Policy(rounds=5))
    assert asyncio.run(agent.run("q")).output == "a"
    assert len(runs[0].attempts) == 2
    assert "1 output retries" in runs[0].notes[-1]


@feature(VALIDATOR, "async")
def test_one_validator_serves_many_runs_at_once() -> None:
    async def answer(messages: list[ModelMessage], info: Any) -> ModelResponse:
        asked = str(messages[0].parts[0].content)  # type: ignore[union-attr]
        await asyncio.sleep(0)
        again = f"try {asked} again" in str(messages)
        return ModelResponse(parts=[TextPart(f"better {asked}" if again else f"draft {asked}")])

    agent: Agent[Any, str] = Agent(FunctionModel(answer))
    agent.output_validator(output_critic(_grade, policy=ONCE))

    async def many() -> list[str]:
        return [result.output for result in await asyncio.gather(*(agent.run(f"q{n}") for n in range(20)))]

    assert asyncio.run(many()) == [f"better q{n}" for n in range(20)]


@feature(VALIDATOR, "budget")
def test_the_validators_budget_ends_the_revisions() -> None:
    agent, runs = validated(Script("a", "b"), 0.3, budget=Budget(calls=3))
    assert asyncio.run(agent.run("q")).output == "a"
    assert runs[0].stop is StopReason.BUDGET


@feature(VALIDATOR, "judge failure")
def test_a_judge_that_fails_leaves_the_validated_output() -> None:
    agent, runs = validated(Script("a"), VerdictStatus.UNAVAILABLE)
    assert asyncio.run(agent.run("q")).output == "a"
    assert runs[0].status is RunStatus.UNJUDGED


@feature(VALIDATOR, "cancellation")
def test_cancelling_a_validated_run_stops_the_judge() -> None:
    async def cancelled() -> None:
        started, stopped = asyncio.Event(), asyncio.Event()

        async def judge(task: Task, trajectory: Trajectory) -> float:
            started.set()
            try:
                await asyncio.Event().wait()
            finally:
                stopped.set()
            return 0.0

        agent, _ = validated(Script("a"), judge=judge)
        work = asyncio.ensure_future(agent.run("q"))
        await asyncio.wait_for(started.wait(), 60)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        assert stopped.is_set()

    asyncio.run(cancelled())


def test_other_validators_retries_do_not_confuse_it() -> None:
    script = Script("bad", "draft", "better")
    agent, runs = validated(script, 0.3, 0.8, retries=2)

    @agent.output_validator
    def strict(output: str) -> str:
        if output == "bad":
            raise ModelRetry("not bad, please")
        return output

    agent._output_validators.reverse()
    assert asyncio.run(agent.run("q")).output == "better"
    assert [attempt.answer for attempt in runs[0].attempts] == ["draft", "better"]


def test_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import reagent_adapters.pydantic_ai as module

    versions.require.cache_clear()
    monkeypatch.setattr(versions, "version", lambda package: "1.99")
    with pytest.raises(versions.UnsupportedVersion, match=r"pydantic-ai-slim 1\.99 is installed"):
        importlib.reload(module)
    versions.require.cache_clear()


def test_the_examples_of_the_page_run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    verdict = "<analysis>\nLooked at it.\n</analysis>\n<critique>\nFine.\n</critique>\n<score>0.9</score>"
    infer = pydantic_ai.models.infer_model

    def named(model: Any, *args: Any, **kwargs: Any) -> Any:
        model = TestModel(custom_output_text="3.60 euros") if model == "openai-chat:gpt-5-mini" else model
        return infer(model, *args, **kwargs)

    page = Document.parse(str(Path(__file__).parents[2] / "docs/adapters/pydantic_ai.md"), PythonCodeBlockParser())
    with ChatServer([verdict]) as server:
        monkeypatch.setattr(pydantic_ai.models, "infer_model", named)
        monkeypatch.setenv("REAGENT_JUDGE", server.base_url)
        for example in page.examples():
            example.evaluate()
    assert capsys.readouterr().out.count("3.60 euros") == 3
    assert len(server.requests) == 3


@pytest.mark.real_model
def test_a_real_model_behind_a_real_server(model_url: str) -> None:  # noqa: F811
    pytest.importorskip("openai")
    from openai import AsyncOpenAI
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    async def real() -> AgentRunResult[str]:
        client = AsyncOpenAI(base_url=model_url, api_key=KEY)
        model = OpenAIChatModel(MODEL, provider=OpenAIProvider(openai_client=client))
        wrapped: Agent[None, str] = Agent(model, instructions="Answer in one sentence.")
        agent = CritiqueAgent(wrapped, ScriptedJudge([(0.3, "Name the colour alone."), 0.8]), policy=ONCE)
        settings: Any = {"max_tokens": 24, "temperature": 0.0, "timeout": 240}
        result = await agent.run("What colour is the sky?", model_settings=settings)
        await client.close()
        return result

    result = asyncio.run(real())
    run = run_of(result)
    assert len(run.attempts) == 2
    assert result.output == run.answer
    assert run.usage.prompt_tokens == result.usage.input_tokens > 60
    assert len(result.all_messages()) == 2
