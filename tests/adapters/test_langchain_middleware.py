"""Critique inside the graph of a real LangChain agent with a scripted model."""

from __future__ import annotations

import asyncio
import inspect
import json
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("langchain")

from langchain.agents import create_agent
from langchain.agents import middleware as ready_made
from langchain.agents.middleware import AgentMiddleware, HumanInTheLoopMiddleware, SummarizationMiddleware, hook_config
from langchain.agents.structured_output import ToolStrategy
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command
from pydantic import BaseModel
from reagent_adapters.langchain import CritiqueMiddleware, turn

from reagent_sdk import (
    Budget,
    BudgetExceeded,
    InvalidInput,
    JudgeFailed,
    LowScore,
    Policy,
    RunLog,
    StopReason,
    VerdictStatus,
)
from reagent_sdk.events import AttemptJudged, AttemptSolved, AttemptStarted, Event, RunFinished
from reagent_sdk.run import Run, RunStatus
from reagent_sdk.task import Task
from reagent_sdk.testing import ScriptedJudge
from reagent_sdk.trajectory import Trajectory

from .langchain_models import Hang, ScriptedModel, calls

NAME = "LangChain middleware"
ONCE = Policy(rounds=1)
THREAD = {"configurable": {"thread_id": "one"}}
MODES = ["messages", "updates", "values", "custom", "debug", "tasks", "checkpoints"]
feature = pytest.mark.feature


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@tool
def add(a: int, b: int) -> str:
    """Adds."""
    return str(a + b)


@tool
def broken(a: int) -> str:
    """Always fails."""
    raise RuntimeError("no such thing")


class Sum(BaseModel):
    """A sum."""

    total: int


def ask(text: str = "1 + 2?") -> dict[str, Any]:
    return {"messages": [HumanMessage(text)]}


def texts(messages: list[BaseMessage]) -> list[str]:
    return [str(message.content) for message in messages]


def agent(model: ScriptedModel, judge: Any, *, policy: Policy = ONCE, **settings: Any) -> tuple[Any, list[Event]]:
    """A graph with the middleware, and the events of its runs."""
    events: list[Event] = []
    ours = CritiqueMiddleware(judge, policy=policy, observe=events.append, **_ours(settings))
    before = settings.pop("before", [])
    return create_agent(model, settings.pop("tools", [add]), middleware=[*before, ours], **settings), events


def _ours(settings: dict[str, Any]) -> dict[str, Any]:
    return {name: settings.pop(name) for name in ("budget", "log") if name in settings}


def run_in(events: list[Event]) -> Run:
    finished = events[-1]
    assert isinstance(finished, RunFinished)
    return finished.run


@feature(NAME, "sync", "best kept", "tools seen")
def test_the_better_revision_is_returned_and_the_judge_sees_all_work() -> None:
    model = ScriptedModel.of(
        calls(("add", {"a": 1, "b": 2})), "four", calls(("add", {"a": 3, "b": 0}), id="again"), "three"
    )
    judge = ScriptedJudge([(0.2, "count again"), 0.9])
    graph, events = agent(model, judge)
    answer = graph.invoke(ask())
    assert set(answer) == {"messages"}
    assert texts(answer["messages"]) == ["1 + 2?", "", "3", "", "3", "three"]
    first, second = (trajectory for _, trajectory in judge.seen)
    called = first.messages[0].tool_calls
    assert called is not None
    assert (called[0].name, json.loads(called[0].arguments_text), called[0].id) == ("add", {"a": 1, "b": 2}, "call-0")
    assert [(m.role, m.text, m.tool_call_id) for m in first.messages[1:]] == [
        ("tool", "3", "call-0"),
        ("assistant", "four", None),
    ]
    assert [m.tool_call_id for m in second.messages if m.role == "tool"] == ["call-0", "again-0"]
    assert "four" not in [m.text for m in second.messages]
    asked = model.texts[2]
    assert asked[:4] == ["1 + 2?", "", "3", "four"]
    assert "count again" in asked[4]
    assert "0.2" not in asked[4]
    run = run_in(events)
    assert (run.chosen, run.stop, run.score) == (1, StopReason.ROUNDS, 0.9)
    assert (run.usage.calls, run.usage.prompt_tokens, run.usage.completion_tokens, run.usage.cached_tokens) == (
        6,
        40,
        20,
        16,
    )
    assert run.usage.cost_usd is None
    order = [AttemptStarted, AttemptSolved, AttemptJudged]
    assert [type(event) for event in events] == [*order, *order, RunFinished]


@feature(NAME, "async", "best kept")
@pytest.mark.anyio
async def test_the_draft_is_returned_when_the_revision_is_worse() -> None:
    model = ScriptedModel.of("three", calls(("add", {"a": 2, "b": 2})), "four")
    graph, events = agent(model, ScriptedJudge([0.8, 0.1]), checkpointer=InMemorySaver())
    answer = await graph.ainvoke(ask(), THREAD)
    assert texts(answer["messages"]) == ["1 + 2?", "", "4", "three"]  # the tool was called, and stays called
    ids = [message.id for message in answer["messages"]]
    assert len(set(ids)) == 4
    draft = events[1]
    assert isinstance(draft, AttemptSolved)
    assert answer["messages"][-1].usage_metadata["input_tokens"] == 10  # the very message, under a fresh id
    kept = (await graph.aget_state(THREAD)).values
    assert texts(kept["messages"]) == texts(answer["messages"])
    assert CritiqueMiddleware.run_of(kept) == run_in(events)
    assert run_in(events).chosen == 0


def test_an_accepted_draft_is_left_as_it_is() -> None:
    graph, events = agent(ScriptedModel.of("three"), ScriptedJudge([0.9]), policy=Policy(accept=0.5))
    answer = graph.invoke(ask())
    assert texts(answer["messages"]) == ["1 + 2?", "three"]
    assert run_in(events).status is RunStatus.ACCEPTED


def test_of_three_attempts_the_second_is_kept_and_each_revision_reads_one_draft() -> None:
    model = ScriptedModel.of("one", "two", "three")
    judge = ScriptedJudge([(0.1, "first word"), (0.7, "second word"), 0.3])
    graph, events = agent(model, judge, policy=Policy(rounds=2))
    answer = graph.invoke(ask())
    assert texts(answer["messages"]) == ["1 + 2?", "two"]
    assert model.texts[2][:2] == ["1 + 2?", "two"]  # neither the first draft nor the critique of it
    assert "second word" in model.texts[2][2]
    assert len(model.texts[2]) == 3
    assert run_in(events).chosen == 1


@feature(NAME, "stream")
@pytest.mark.anyio
async def test_no_stream_mode_shows_what_the_judge_or_its_model_says() -> None:
    told = ScriptedModel.of(
        "the-judges-words 0.2", "the-judges-words 0.4", "the-judges-words 0.2", "the-judges-words 0.4"
    )

    def judge(task: Task, trajectory: Trajectory) -> tuple[float, str]:
        text = told.invoke("judge this").text
        words, score = text.split()
        return float(score), words + score

    def graph() -> Any:
        inner, _ = agent(ScriptedModel.of("a draft", "an answer"), judge, checkpointer=InMemorySaver())
        return inner

    shown = [chunk async for chunk in graph().astream(ask(), THREAD, stream_mode=MODES, subgraphs=True)]
    shown += list(graph().stream(ask(), THREAD, stream_mode=MODES, subgraphs=True))
    assert {mode for _, mode, _ in shown} >= {"messages", "updates", "values", "debug", "tasks", "checkpoints"}
    assert [chunk for chunk in shown if "the-judges-words" in repr(chunk)] == []
    words = [chunk[0].content for _, mode, chunk in shown if mode == "messages"]
    assert "answer" in words
    assert len(told.seen) == 4


@pytest.mark.anyio
async def test_a_judges_own_graph_stays_out_of_the_stream_as_well() -> None:
    reviewer = create_agent(ScriptedModel.of("private-verdict", "private-verdict"), [])

    async def judge(task: Task, trajectory: Trajectory) -> tuple[float, str]:
        said = await reviewer.ainvoke(ask("judge"))
        return 0.5, said["messages"][-1].text

    graph, events = agent(ScriptedModel.of("a draft", "an answer"), judge)
    chunks = [chunk async for chunk in graph.astream(ask(), stream_mode=MODES, subgraphs=True)]
    assert "private-verdict" not in repr(chunks)
    run = run_in(events)
    assert run.usage.calls == 4
    assert run.attempts[0].verdict is not None
    assert run.attempts[0].verdict.usage.prompt_tokens == 10  # the judge's own model was heard


@pytest.mark.anyio
async def test_events_show_the_judge_only_in_the_prompt_of_the_revision() -> None:
    reviewer = ScriptedModel.of("private-verdict", "private-verdict")

    async def judge(task: Task, trajectory: Trajectory) -> tuple[float, str]:
        return 0.5, (await reviewer.ainvoke("judge")).text

    graph, _ = agent(ScriptedModel.of("a draft", "an answer"), judge)
    heard = [event async for event in graph.astream_events(ask(), version="v2")]
    for event in heard:
        event["data"].pop("input", None)
    assert len(reviewer.seen) == 2
    assert "private-verdict" not in repr(heard)
    assert "an " in [e["data"]["chunk"].content for e in heard if e["event"] == "on_chat_model_stream"]


@feature(NAME, "memory kept")
def test_turns_of_a_thread_are_judged_one_by_one_and_remembered() -> None:
    model = ScriptedModel.of("I am Ann", "hello Ann", "your name is Bob", "your name is Ann")
    judge = ScriptedJudge([(0.2, "first"), 0.9, (0.3, "second"), 0.8])
    graph, events = agent(model, judge, checkpointer=InMemorySaver())
    graph.invoke(ask("my name is Ann"), THREAD)
    first = run_in(events)
    answer = graph.invoke(ask("what is my name?"), THREAD)
    second = run_in(events)
    assert texts(answer["messages"]) == ["my name is Ann", "hello Ann", "what is my name?", "your name is Ann"]
    assert model.texts[2] == ["my name is Ann", "hello Ann", "what is my name?"]
    assert first.id != second.id
    assert second.usage.calls == 4
    task, trajectory = judge.seen[2]
    assert (task.question, [m.text for m in task.history]) == ("what is my name?", ["my name is Ann", "hello Ann"])
    assert [m.text for m in trajectory.messages] == ["your name is Bob"]


@pytest.mark.parametrize("rounds", [0, 1, 2])
def test_structured_answers_belong_to_the_best_attempt(rounds: int) -> None:
    replies = [calls(("Sum", {"total": n}), id=str(n)) for n in (3, 4, 5)]
    judge = ScriptedJudge([0.9, 0.1, 0.2])
    graph, _ = agent(
        ScriptedModel.of(*replies), judge, policy=Policy(rounds=rounds), response_format=ToolStrategy(Sum), tools=[]
    )
    answer = graph.invoke(ask())
    assert answer["structured_response"] == Sum(total=3)
    assert [trajectory.answer for _, trajectory in judge.seen] == [f'{{"total":{n}}}' for n in (3, 4, 5)[: rounds + 1]]
    asked = [m for m in answer["messages"] if isinstance(m, AIMessage)]
    assert [call["args"] for m in asked for call in m.tool_calls] == [{"total": 3}]
    assert len([m for m in answer["messages"] if isinstance(m, ToolMessage)]) == 1


@feature(NAME, "budget")
@pytest.mark.parametrize("made", [2, 3, 4, 5, 6])
def test_a_budget_of_calls_is_exact(made: int) -> None:
    script = [calls(("add", {"a": 1, "b": 2})), "draft", calls(("add", {"a": 2, "b": 2}), id="two"), "revised"]
    model, judge = ScriptedModel.of(*script), ScriptedJudge([(0.2, "again"), 0.9])
    graph, events = agent(model, judge, budget=Budget(calls=made))
    answer = graph.invoke(ask())
    run = run_in(events)
    assert run.usage.calls == len(model.seen) + len(judge.seen) <= made
    assert answer["messages"][-1].content == ("revised" if made == 6 else "draft")
    assert run.stop is (StopReason.ROUNDS if made == 6 else StopReason.BUDGET)
    assert all(message.content or message.tool_calls for message in answer["messages"])  # no trace of the refusal


@pytest.mark.anyio
async def test_a_budget_that_allows_no_draft_is_an_error() -> None:
    model = ScriptedModel.of(calls(("add", {"a": 1, "b": 2})), "never")
    graph, _ = agent(model, ScriptedJudge([0.9]), budget=Budget(calls=1))
    with pytest.raises(BudgetExceeded) as error:
        await graph.ainvoke(ask())
    assert error.value.limit == "calls"
    assert error.value.run is not None
    assert len(model.seen) == 1


@pytest.mark.anyio
async def test_time_that_runs_out_in_a_revision_cancels_its_model_and_leaves_the_draft() -> None:
    hang = Hang()
    graph, events = agent(ScriptedModel.of("draft", hang), ScriptedJudge([0.2]), budget=Budget(seconds=2))
    answer = await graph.ainvoke(ask())
    assert texts(answer["messages"]) == ["1 + 2?", "draft"]
    assert hang.cancelled.is_set()
    assert run_in(events).stop is StopReason.BUDGET


@pytest.mark.parametrize("late", ["agent", "human"])
def test_the_agents_time_counts_and_a_humans_does_not(late: str, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr(turn, "time", SimpleNamespace(time=lambda: clock[0]))

    def slow(messages: list[BaseMessage]) -> AIMessage:
        clock[0] += 60 if late == "agent" else 0
        return AIMessage("draft")

    approve = HumanInTheLoopMiddleware(interrupt_on={"add": True})
    model = ScriptedModel.of(calls(("add", {"a": 1, "b": 2})), slow)
    settings: dict[str, Any] = {"before": [approve], "checkpointer": InMemorySaver(), "budget": Budget(seconds=50)}
    graph, events = agent(model, ScriptedJudge([0.9]), policy=Policy(rounds=0), **settings)
    assert graph.invoke(ask(), THREAD)["__interrupt__"]
    clock[0] += 60 if late == "human" else 0
    answer = graph.invoke(Command(resume={"decisions": [{"type": "approve"}]}), THREAD)
    assert answer["messages"][-1].content == "draft"
    if late == "agent":  # within one call of the graph
        del settings["before"], settings["checkpointer"]
        graph, events = agent(ScriptedModel.of(slow), ScriptedJudge([0.9]), policy=Policy(rounds=0), **settings)
        graph.invoke(ask())
    run = run_in(events)
    assert (run.status is RunStatus.UNJUDGED) == (late == "agent")
    assert run.seconds >= 60 if late == "agent" else run.seconds < 50


@pytest.mark.parametrize("words", [[], [AIMessage("not allowed")]])
def test_a_turn_that_ends_before_the_agent_speaks_is_judged_by_what_was_said(words: list[AIMessage]) -> None:
    class Guard(AgentMiddleware[Any, Any]):
        @hook_config(can_jump_to=["end"])
        def before_model(self, state: Any, runtime: Any) -> dict[str, Any]:
            return {"jump_to": "end", "messages": words}

    judge = ScriptedJudge([0.9])
    graph, _ = agent(ScriptedModel.of(), judge, before=[Guard()])
    assert texts(graph.invoke(ask())["messages"]) == ["1 + 2?", *(m.content for m in words)]
    assert [trajectory.answer for _, trajectory in judge.seen] == [m.content for m in words]


@feature(NAME, "cancellation")
@pytest.mark.anyio
@pytest.mark.parametrize("where", ["agent", "judge"])
async def test_cancelling_the_call_stops_model_and_judge(where: str) -> None:
    hang = Hang()

    async def judge(task: Task, trajectory: Trajectory) -> float:
        await hang.wait()
        return 1.0

    model = ScriptedModel.of(hang if where == "agent" else "draft")
    graph, _ = agent(model, judge)
    work = asyncio.create_task(graph.ainvoke(ask()))
    await asyncio.wait_for(hang.asked.wait(), 60)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    await asyncio.wait_for(hang.cancelled.wait(), 60)


@feature(NAME, "judge failure")
def test_a_judge_that_fails_costs_nobody_the_draft(tmp_path: Path) -> None:
    graph, events = agent(ScriptedModel.of("draft"), ScriptedJudge([RuntimeError("down")]))
    assert texts(graph.invoke(ask())["messages"])[-1] == "draft"
    assert (run_in(events).status, run_in(events).stop) == (RunStatus.UNJUDGED, StopReason.JUDGE_FAILED)
    log = RunLog(tmp_path / "runs.jsonl")
    strict = Policy(on_judge_failure="raise")
    graph, _ = agent(ScriptedModel.of("draft"), ScriptedJudge([VerdictStatus.UNPARSEABLE]), policy=strict, log=log)
    with pytest.raises(JudgeFailed) as error:
        graph.invoke(ask())
    assert error.value.run.answer == "draft"
    graph, _ = agent(
        ScriptedModel.of("draft"),
        ScriptedJudge([0.1]),
        policy=Policy(rounds=0, floor=0.5, on_low_score="raise"),
        log=log,
    )
    with pytest.raises(LowScore):
        graph.invoke(ask())
    assert [run.status for run in log.read()] == [RunStatus.UNJUDGED, RunStatus.ABSTAINED]


@pytest.mark.parametrize("reply", [RuntimeError("lost"), calls(("broken", {"a": 1}))])
def test_a_revision_that_fails_leaves_the_draft(reply: Any) -> None:
    graph, events = agent(ScriptedModel.of("draft", reply, "worse"), ScriptedJudge([0.5, 0.1]), tools=[broken])
    answer = graph.invoke(ask())
    assert answer["messages"][-1].content == "draft"
    run = run_in(events)
    if isinstance(reply, Exception):
        assert (run.stop, len(answer["messages"])) == (StopReason.REVISION_FAILED, 2)
        assert "RuntimeError: lost" in run.notes[-1]
    else:
        assert "RuntimeError: no such thing" in next(m for m in answer["messages"] if isinstance(m, ToolMessage)).text


def test_a_first_attempt_that_fails_raises_what_the_agent_raised() -> None:
    graph, _ = agent(ScriptedModel.of(RuntimeError("lost")), ScriptedJudge([0.5]))
    with pytest.raises(RuntimeError, match="lost"):
        graph.invoke(ask())
    graph, _ = agent(ScriptedModel.of(calls(("broken", {"a": 1}))), ScriptedJudge([0.5]), tools=[broken])
    with pytest.raises(RuntimeError, match="no such thing"):
        graph.invoke(ask())


@pytest.mark.parametrize("limit", [4, 6, 9, 10, 12, 30])
def test_a_recursion_limit_never_costs_the_draft(limit: int) -> None:
    endless = [calls(("add", {"a": 1, "b": n}), id=str(n)) for n in range(30)]
    graph, events = agent(ScriptedModel.of("draft", *endless), ScriptedJudge([0.5]))
    answer = graph.invoke(ask(), {"recursion_limit": limit})
    assert answer["messages"][-1].content == "draft"
    assert run_in(events).stop is StopReason.REVISION_FAILED
    assert "recursion" in run_in(events).notes[-1]


def test_summaries_in_the_middle_of_a_turn_lose_neither_question_nor_answer() -> None:
    if "trigger" not in inspect.signature(SummarizationMiddleware).parameters:
        pytest.skip("langchain 1.0 has it with other parameters")
    steps = [calls(("add", {"a": 1, "b": n}), id=str(n)) for n in range(4)]
    summary = SummarizationMiddleware(
        ScriptedModel.of(*["earlier work"] * 9), trigger=("messages", 5), keep=("messages", 2)
    )
    judge = ScriptedJudge([(0.8, "again"), 0.1])
    graph, _ = agent(ScriptedModel.of(*steps, "draft", "worse"), judge, before=[summary])
    answer = graph.invoke(ask())
    assert answer["messages"][-1].content == "draft"
    assert [task.question for task, _ in judge.seen] == ["1 + 2?"] * 2
    assert judge.seen[0][1].answer == "draft"


def test_other_middleware_may_retry_and_approve() -> None:
    saver = InMemorySaver()
    approve = HumanInTheLoopMiddleware(interrupt_on={"add": True})
    retry: Any = getattr(ready_made, "ModelRetryMiddleware", None) or pytest.skip("langchain 1.0 has none")
    retry = retry(max_retries=2, initial_delay=0)
    script = [
        calls(("add", {"a": 1, "b": 2})),
        RuntimeError("busy"),
        "draft",
        calls(("add", {"a": 5, "b": 5}), id="two"),
        "revised",
    ]
    graph, events = agent(
        ScriptedModel.of(*script), ScriptedJudge([(0.1, "again"), 0.9]), before=[retry, approve], checkpointer=saver
    )
    for _ in range(2):
        paused = graph.invoke(ask() if _ == 0 else Command(resume={"decisions": [{"type": "approve"}]}), THREAD)
        assert paused["__interrupt__"]
    answer = graph.invoke(Command(resume={"decisions": [{"type": "approve"}]}), THREAD)
    assert texts(answer["messages"]) == ["1 + 2?", "", "3", "", "10", "revised"]
    assert run_in(events).chosen == 1


def test_parallel_batches_do_not_mix() -> None:
    def reply(messages: list[BaseMessage]) -> AIMessage:
        return AIMessage(f"{'revised' if len(messages) > 1 else 'draft'} {messages[0].content}")

    lock, seen = threading.Lock(), []

    def judge(task: Task, trajectory: Trajectory) -> tuple[float, str]:
        with lock:
            seen.append((task.question, trajectory.answer))
        return (0.9 if trajectory.answer.startswith("revised") else 0.1), f"about {task.question}"

    graph, _ = agent(ScriptedModel.of(*[reply] * 32), judge, checkpointer=InMemorySaver())
    configs = [{"configurable": {"thread_id": str(n)}} for n in range(16)]
    answers = graph.batch([ask(str(n)) for n in range(16)], configs)
    assert [texts(answer["messages"]) for answer in answers] == [[str(n), f"revised {n}"] for n in range(16)]
    assert sorted(seen) == sorted((str(n), f"{word} {n}") for n in range(16) for word in ("draft", "revised"))


def test_input_that_asks_nothing_is_refused() -> None:
    graph, _ = agent(ScriptedModel.of("draft"), ScriptedJudge([0.5]))
    with pytest.raises(InvalidInput, match="no messages"):
        graph.invoke({"messages": []})
