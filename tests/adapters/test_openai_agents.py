"""The OpenAI Agents SDK with a scripted model, and once with a real one."""

from __future__ import annotations

import asyncio
import importlib
import json
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("agents")

from agents import (
    Agent,
    GuardrailFunctionOutput,
    InputGuardrail,
    InputGuardrailTripwireTriggered,
    Model,
    ModelResponse,
    OpenAIChatCompletionsModel,
    RunHooks,
    RunResult,
    SQLiteSession,
    function_tool,
    set_default_openai_api,
    set_tracing_disabled,
)
from agents.usage import Usage as Reported
from openai import AsyncOpenAI
from openai.types.responses import (
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputText,
    ResponseReasoningItem,
    ResponseTextDeltaEvent,
)
from openai.types.responses.response_reasoning_item import Summary
from pydantic import BaseModel
from reagent_adapters import versions
from reagent_adapters.openai_agents import CritiqueRunner, run_of
from sybil import Document
from sybil.parsers.markdown import PythonCodeBlockParser

from reagent_sdk import Budget, BudgetExceeded, InvalidInput, JudgeFailed, Policy, RunLog, StopReason, VerdictStatus
from reagent_sdk.run import RunStatus
from reagent_sdk.task import Task
from reagent_sdk.testing import ChatServer, ScriptedJudge
from reagent_sdk.trajectory import Trajectory
from reagent_sdk.verdict import Verdict

from .real_model import KEY, MODEL, model_url  # noqa: F401 - a fixture

NAME = "OpenAI Agents"
ONCE = Policy(rounds=1)
feature = pytest.mark.feature


@pytest.fixture(autouse=True)
def _no_tracing() -> None:
    set_tracing_disabled(True)


def said(text: str) -> ResponseOutputMessage:
    part = ResponseOutputText(text=text, type="output_text", annotations=[])
    return ResponseOutputMessage(id="m", content=[part], role="assistant", status="completed", type="message")


def call(name: str, id: str, **arguments: Any) -> ResponseFunctionToolCall:
    return ResponseFunctionToolCall(name=name, call_id=id, arguments=json.dumps(arguments), type="function_call")


def thought(text: str) -> ResponseReasoningItem:
    return ResponseReasoningItem(id="r", summary=[Summary(text=text, type="summary_text")], type="reasoning")


class Scripted(Model):
    """Gives the scripted responses in order; remembers what it was asked."""

    def __init__(self, *script: Any) -> None:
        self.script = list(script)
        self.seen: list[list[dict[str, Any]]] = []

    async def get_response(self, system_instructions: Any, input: Any, *args: Any, **kwargs: Any) -> ModelResponse:
        self.seen.append([{"role": "user", "content": input}] if isinstance(input, str) else list(input))
        step = self.script.pop(0)
        if isinstance(step, Exception):
            raise step
        if callable(step):
            step = await step()
        output = step if isinstance(step, list) else [said(step) if isinstance(step, str) else step]
        usage = Reported(requests=1, input_tokens=10, output_tokens=5, total_tokens=15)
        return ModelResponse(output=output, usage=usage, response_id=None)

    def stream_response(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        raise NotImplementedError


@function_tool
def price(item: str) -> str:
    """The price of an item."""
    return f"{item} costs 3 euros"


def agent_of(model: Model, **more: Any) -> Agent[Any]:
    return Agent(name="shop", model=model, **more)


def runner_of(*outcomes: Any, policy: Policy = ONCE, **more: Any) -> tuple[CritiqueRunner, ScriptedJudge]:
    judge = ScriptedJudge(outcomes)
    return CritiqueRunner(judge, policy=policy, **more), judge


@feature(NAME, "async", "best kept")
def test_the_result_is_the_frameworks_own_and_that_of_the_better_attempt() -> None:
    for scores, best in (((0.8, 0.3), "first"), ((0.3, 0.8), "second")):
        runner, _ = runner_of(*scores)
        model = Scripted("first", "second")
        result = asyncio.run(runner.run(agent_of(model), "What is it?"))
        assert type(result) is RunResult
        assert result.final_output == best
        assert [attempt.answer for attempt in run_of(result).attempts] == ["first", "second"]
        assert run_of(result).stop is StopReason.ROUNDS
        assert run_of(result).usage.prompt_tokens == 20


def test_the_agent_reads_the_critique_after_its_draft_and_nothing_else_of_the_verdict() -> None:
    verdict = Verdict.of(0.31, "count the eggs", analysis="secret analysis")
    runner, _ = runner_of(verdict, 0.9)
    model = Scripted("first", "second")
    asyncio.run(runner.run(agent_of(model), "How many?"))
    asked, draft, request = model.seen[1]
    assert asked["content"] == "How many?"
    assert draft["role"] == "assistant"
    assert "count the eggs" in request["content"]
    assert "secret analysis" not in str(model.seen)
    assert "0.31" not in str(model.seen)


@feature(NAME, "sync")
def test_blocking_calls_work_in_scripts_threads_and_running_loops() -> None:
    def blocking(outcome: list[Any]) -> None:
        with runner_of(0.3, 0.8, 0.3, 0.8)[0] as runner:
            outcome.append(runner.run_sync(agent_of(Scripted("first", "second")), "q").final_output)
            outcome.append(runner.run_sync(agent_of(Scripted("third", "fourth")), "q").final_output)

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
    runner, judge = runner_of((0.3, "check the sum"), 0.8)
    calls = [thought("I need a price"), call("price", "c1", item="egg"), call("price", "c2", item="ham")]
    model = Scripted(calls, "6", call("price", "c3", item="salt"), "9")
    result = asyncio.run(runner.run(agent_of(model, tools=[price]), "What do they cost?"))
    assert result.final_output == "9"
    first, second = (trajectory.messages for _, trajectory in judge.seen)
    assert [message.role for message in first] == ["assistant", "tool", "tool", "assistant"]
    assert first[0].reasoning == "I need a price"
    assert [(c.id, c.name, c.arguments_text) for c in first[0].tool_calls or ()] == [
        ("c1", "price", '{"item": "egg"}'),
        ("c2", "price", '{"item": "ham"}'),
    ]
    assert (first[1].tool_call_id, first[1].text) == ("c1", "egg costs 3 euros")
    assert second[:3] == first[:3]
    assert [message.text for message in second[3:]] == ["", "salt costs 3 euros", "9"]
    assert "check the sum" not in str(second)
    assert "6" not in [message.text for message in second]


@feature(NAME, "memory kept")
@pytest.mark.parametrize(("scores", "kept"), [((0.8, 0.3), "draft"), ((0.3, 0.8), "better")])
def test_a_session_remembers_the_question_the_tools_and_the_chosen_answer_alone(
    scores: tuple[float, float], kept: str
) -> None:
    async def turns() -> None:
        session = SQLiteSession("s")
        runner, judge = runner_of((scores[0], "look again"), scores[1], 0.9)
        model = Scripted(call("price", "c1", item="egg"), "draft", "better", "you asked for eggs", "the same")
        agent = agent_of(model, tools=[price])
        await runner.run(agent, "What does an egg cost?", session=session)
        items = await session.get_items()
        assert [item.get("type", item.get("role")) for item in items] == [
            "user",
            "function_call",
            "function_call_output",
            "message",
        ]
        assert kept in str(items[-1])
        assert not any(word in str(items) for word in {"draft", "better", "look again"} - {kept})
        result = await runner.run(agent, "What did I ask?", session=session)
        assert [item.get("role") for item in model.seen[3]] == ["user", None, None, "assistant", "user"]
        assert kept in str(model.seen[3])
        task = judge.seen[-1][0]
        assert task.question == "What did I ask?"
        assert [message.text for message in task.history if message.role == "tool"] == ["egg costs 3 euros"]
        assert result.final_output == "you asked for eggs"
        session.close()

    asyncio.run(turns())


def test_without_a_session_the_results_own_history_goes_on_from_the_chosen_answer() -> None:
    runner, _ = runner_of((0.3, "look again"), 0.8)
    model = Scripted(call("price", "c1", item="egg"), "draft", "better", "next", "next")
    agent = agent_of(model, tools=[price])
    history: list[Any] = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]
    result = asyncio.run(runner.run(agent, [*history, {"role": "user", "content": "How much?"}]))
    items = result.to_input_list()
    assert [item.get("role", item.get("type")) for item in items] == [
        "user",
        "assistant",
        "user",
        "function_call",
        "function_call_output",
        "assistant",
    ]
    assert "better" in str(items)
    assert "draft" not in str(items)
    assert "look again" not in str(items)


@feature(NAME, "stream")
def test_a_stream_holds_the_final_answer_and_nothing_of_rejected_drafts_or_the_judge() -> None:
    async def streamed() -> tuple[list[Any], Any]:
        runner, _ = runner_of((0.3, "look again"), 0.8)
        model = Scripted(call("price", "c1", item="egg"), "draft", "better")
        stream = runner.run_streamed(agent_of(model, tools=[price]), "q")
        assert not stream.is_complete
        with pytest.raises(AttributeError):
            _ = stream.final_output
        return [event async for event in stream.stream_events()], stream

    events, stream = asyncio.run(streamed())
    assert [event.type for event in events] == ["raw_response_event", "run_item_stream_event"]
    assert isinstance(events[0].data, ResponseTextDeltaEvent)
    assert events[0].data.delta == "better"
    assert events[1].name == "message_output_created"
    assert "draft" not in str(events)
    assert stream.final_output == "better"
    assert run_of(stream).score == 0.8


@feature(NAME, "budget")
def test_the_budget_of_calls_is_exact_in_the_middle_of_an_attempt() -> None:
    steps = [call("price", f"c{n}", item="egg") for n in range(5)]
    runner, judge = runner_of(0.3, budget=Budget(calls=3))
    model = Scripted(*steps)
    with pytest.raises(BudgetExceeded) as failed:
        asyncio.run(runner.run(agent_of(model, tools=[price]), "q"))
    assert len(model.seen) == 3
    assert not judge.seen
    assert failed.value.run is not None
    assert failed.value.run.usage.calls == 3
    assert failed.value.run.usage.prompt_tokens == 30
    assert failed.value.run.usage.cost_usd is None


@feature(NAME, "budget")
def test_a_revision_that_the_budget_stops_leaves_the_draft() -> None:
    runner, _ = runner_of(0.3, budget=Budget(calls=4))
    model = Scripted("draft", call("price", "c1", item="egg"), call("price", "c2", item="egg"), "better")
    result = asyncio.run(runner.run(agent_of(model, tools=[price]), "q"))
    assert result.final_output == "draft"
    assert run_of(result).stop is StopReason.BUDGET
    assert len(model.seen) == 3
    assert run_of(result).usage.calls == 4


def test_calls_of_agents_that_are_used_as_tools_are_counted() -> None:
    inner = agent_of(Scripted("3 euros")).as_tool("ask", "asks")
    runner, _ = runner_of(0.9, policy=Policy(rounds=0))
    model = Scripted(call("ask", "c1", input="egg?"), "3")
    run = run_of(asyncio.run(runner.run(agent_of(model, tools=[inner]), "q")))
    assert (run.usage.calls, run.usage.prompt_tokens, run.usage.unmetered_calls) == (4, 30, 1)  # 1: the scripted judge
    assert run.attempts[0].trajectory.usage.calls == 3


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

        @function_tool
        async def slow() -> str:
            """Never ends."""
            return str(await hang())

        scripts: dict[str, Any] = {"model": hang, "tool": call("slow", "c1"), "judge": "draft"}
        judge = (lambda task, trajectory: hang()) if where == "judge" else ScriptedJudge([0.5])
        runner = CritiqueRunner(judge)
        agent = agent_of(Scripted(scripts[where]), tools=[slow])
        if streamed:
            stream = runner.run_streamed(agent, "q")
            work: Any = asyncio.ensure_future(_drained(stream))
        else:
            work = asyncio.ensure_future(runner.run(agent, "q"))
        await asyncio.wait_for(started.wait(), 60)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        await asyncio.wait_for(stopped.wait(), 60)

    asyncio.run(cancelled())


async def _drained(stream: Any) -> list[Any]:
    return [event async for event in stream.stream_events()]


@feature(NAME, "judge failure")
def test_a_judge_that_fails_leaves_the_draft_unjudged_or_raises_as_the_policy_says() -> None:
    runner, _ = runner_of(VerdictStatus.UNAVAILABLE)
    result = asyncio.run(runner.run(agent_of(Scripted("draft")), "q"))
    assert result.final_output == "draft"
    assert run_of(result).status is RunStatus.UNJUDGED
    raising, _ = runner_of(RuntimeError("no judge"), policy=Policy(on_judge_failure="raise"))
    with pytest.raises(JudgeFailed) as failed:
        asyncio.run(raising.run(agent_of(Scripted("draft")), "q"))
    assert failed.value.run is not None
    assert failed.value.run.answer == "draft"


def test_a_handoffs_target_revises_and_the_handoff_is_in_the_trajectory() -> None:
    maths = Agent(name="maths", model=Scripted("5", "6"))
    triage = agent_of(Scripted(call("transfer_to_maths", "h1")), handoffs=[maths])
    runner, judge = runner_of(0.3, 0.8)
    result = asyncio.run(runner.run(triage, "2 + 4?"))
    assert result.last_agent is maths
    assert result.final_output == "6"
    messages = judge.seen[0][1].messages
    assert [call.name for call in messages[0].tool_calls or ()] == ["transfer_to_maths"]
    assert messages[1].tool_call_id == "h1"
    assert judge.seen[1][1].messages[:2] == messages[:2]


def test_a_tripwire_passes_unchanged_and_leaves_the_session_alone() -> None:
    async def tripped() -> None:
        session = SQLiteSession("s")
        guard = InputGuardrail(lambda *_: GuardrailFunctionOutput(output_info="no", tripwire_triggered=True))
        runner, _ = runner_of(0.9)
        agent = agent_of(Scripted("draft"), input_guardrails=[guard])
        with pytest.raises(InputGuardrailTripwireTriggered) as failed:
            await runner.run(agent, "q", session=session)
        assert failed.value.guardrail_result.output.output_info == "no"
        assert await session.get_items() == []
        session.close()

    asyncio.run(tripped())


class Sum(BaseModel):
    total: int


def test_structured_output_keeps_its_type_and_is_judged_as_json() -> None:
    runner, judge = runner_of(0.3, 0.8)
    model = Scripted('{"total": 5}', '{"total": 6}')
    result = asyncio.run(runner.run(agent_of(model, output_type=Sum), "q"))
    assert result.final_output == Sum(total=6)
    assert [trajectory.answer for _, trajectory in judge.seen] == ['{"total":5}', '{"total":6}']


def test_an_attempt_that_waits_for_approval_is_returned_and_goes_on_later() -> None:
    @function_tool(needs_approval=True)
    def delete() -> str:
        """Deletes."""
        return "deleted"

    async def approved() -> None:
        session = SQLiteSession("s")
        runner, judge = runner_of((0.3, "say more"), 0.8)
        model = Scripted(call("delete", "c1"), "gone", "all gone")
        agent = agent_of(model, tools=[delete])
        waiting = await runner.run(agent, "delete it", session=session)
        assert waiting.interruptions
        assert not judge.seen
        state = waiting.to_state()
        state.approve(waiting.interruptions[0])
        result = await runner.run(agent, state, session=session)
        assert result.final_output == "all gone"
        assert [message.text for message in judge.seen[0][1].messages] == ["", "deleted", "gone"]
        assert run_of(result).usage.prompt_tokens == 20
        remembered = await session.get_items()
        kinds = [item.get("type", item.get("role")) for item in remembered]
        assert kinds == ["user", "function_call", "function_call_output", "message"]
        assert [item.get("role", item.get("type")) for item in model.seen[2]] == [
            "user",
            "function_call",
            "function_call_output",
            "assistant",
            "user",
        ]
        session.close()

    asyncio.run(approved())


def test_the_users_hooks_context_and_log_are_used(tmp_path: Any) -> None:
    heard: list[str] = []

    class Hooks(RunHooks[Any]):
        async def on_llm_start(self, *_: Any) -> None:
            heard.append("llm")

        async def on_tool_end(self, context: Any, agent: Any, tool: Any, result: Any) -> None:
            heard.append(f"{context.context}: {tool.name}")

    runner, _ = runner_of(0.9, policy=Policy(rounds=0), log=tmp_path / "runs.jsonl")
    model = Scripted(call("price", "c1", item="egg"), "3")
    result = asyncio.run(runner.run(agent_of(model, tools=[price]), "q", hooks=Hooks(), context="ours"))
    assert heard == ["llm", "ours: price", "llm"]
    assert list(RunLog(tmp_path / "runs.jsonl").read()) == [run_of(result)]


def test_a_revision_that_fails_leaves_the_draft() -> None:
    runner, _ = runner_of(0.3)
    result = asyncio.run(runner.run(agent_of(Scripted("draft", RuntimeError("down"))), "q"))
    assert result.final_output == "draft"
    assert run_of(result).stop is StopReason.REVISION_FAILED


def test_many_runs_at_once_do_not_mix() -> None:
    def grade(task: Task, trajectory: Trajectory) -> Verdict:
        return Verdict.of(0.8 if trajectory.answer.startswith("better") else 0.3, f"try {task.question} again")

    async def many() -> list[RunResult]:
        runner = CritiqueRunner(grade, policy=ONCE)
        models = [Scripted(f"draft {n}", f"better {n}") for n in range(20)]
        results = await asyncio.gather(*(runner.run(agent_of(m), f"q{n}") for n, m in enumerate(models)))
        assert all(f"try q{n} again" in str(model.seen[1]) for n, model in enumerate(models))
        return list(results)

    assert [result.final_output for result in asyncio.run(many())] == [f"better {n}" for n in range(20)]


def test_conversations_that_the_server_keeps_are_refused() -> None:
    runner, _ = runner_of(0.9)
    more: dict[str, Any] = {"conversation_id": "conv_1"}
    with pytest.raises(InvalidInput, match="server keeps"):
        asyncio.run(runner.run(agent_of(Scripted("a")), "q", **more))
    with pytest.raises(InvalidInput, match="no critique"):
        run_of("a text")


def test_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import reagent_adapters.openai_agents as module

    versions.require.cache_clear()
    monkeypatch.setattr(versions, "version", lambda package: "99.0")
    with pytest.raises(versions.UnsupportedVersion, match=r"openai-agents 99\.0 is installed"):
        importlib.reload(module)
    versions.require.cache_clear()


def test_the_example_of_the_page_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    verdict = "<analysis>\nLooked at it.\n</analysis>\n<critique>\nFine.\n</critique>\n<score>0.9</score>"

    def answer(body: dict[str, Any]) -> str:
        return verdict if "strict reviewer" in str(body["messages"]) else "3.60 euros"

    page = Document.parse(str(Path(__file__).parents[2] / "docs/adapters/openai_agents.md"), PythonCodeBlockParser())
    with ChatServer(answer) as server:
        monkeypatch.setenv("OPENAI_API_KEY", "k")
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        monkeypatch.setenv("REAGENT_JUDGE", server.base_url)
        set_default_openai_api("chat_completions")
        for example in page.examples():
            example.evaluate()
        set_default_openai_api("responses")
    printed = capsys.readouterr().out
    assert printed.startswith("3.60 euros Returned attempt")
    assert printed.endswith("\n3.60 euros\n")


@pytest.mark.real_model
def test_a_real_model_behind_a_real_server(model_url: str) -> None:  # noqa: F811
    async def real() -> RunResult:
        client = AsyncOpenAI(base_url=model_url, api_key=KEY, timeout=240)
        agent = Agent(name="a", model=OpenAIChatCompletionsModel(MODEL, client), instructions="Answer in one sentence.")
        from agents import ModelSettings

        agent.model_settings = ModelSettings(max_tokens=24, temperature=0)
        runner, _ = runner_of((0.3, "Name the colour alone."), 0.8)
        session = SQLiteSession("s")
        result = await runner.run(agent, "What colour is the sky?", session=session)
        assert len(await session.get_items()) == 2
        session.close()
        await client.close()
        return result

    result = asyncio.run(real())
    run = run_of(result)
    assert len(run.attempts) == 2
    assert result.final_output == run.attempts[1].answer
    assert run.usage.prompt_tokens > 60
    assert run.usage.unmetered_calls == 2  # the judge's; the server told all tokens of the agent's
