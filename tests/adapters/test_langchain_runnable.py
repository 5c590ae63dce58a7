"""Critique around real LangChain runnables and LangGraph graphs with a scripted model."""

from __future__ import annotations

import asyncio
import inspect
import operator
from pathlib import Path
from typing import Annotated, Any, TypedDict

import pytest

pytest.importorskip("langchain")

from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain.agents.structured_output import ToolStrategy
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, AIMessageChunk, AnyMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableConfig, RunnableLambda, RunnablePassthrough
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Command
from pydantic import BaseModel
from reagent_adapters.critique import Critique
from reagent_adapters.langchain import CritiqueMiddleware, CritiqueRunnable

from reagent_sdk import Budget, BudgetExceeded, InvalidInput, JudgeFailed, Policy, RunLog, StopReason, VerdictStatus
from reagent_sdk.events import Event, RunFinished
from reagent_sdk.run import Run, RunStatus
from reagent_sdk.task import Task
from reagent_sdk.testing import ScriptedJudge
from reagent_sdk.trajectory import Trajectory

from .langchain_models import Hang, ScriptedModel, calls

NAME = "LangChain runnable"
ONCE = Policy(rounds=1)
THREAD: RunnableConfig = {"configurable": {"thread_id": "one"}}
SUMS = [calls(("add", {"a": 1, "b": 2})), "it is four", calls(("add", {"a": 3, "b": 0}), id="again"), "it is three"]
feature = pytest.mark.feature
pytestmark = pytest.mark.filterwarnings("ignore:AgentStatePydantic has been moved")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@tool
def add(a: int, b: int) -> str:
    """Adds."""
    return str(a + b)


class Sum(BaseModel):
    """A sum."""

    total: int


def judge(*outcomes: Any) -> ScriptedJudge:
    return ScriptedJudge(outcomes or [(0.2, "private-critique"), 0.9])


def wrapped(bound: Any, by: Any = None, **settings: Any) -> tuple[CritiqueRunnable[Any, Any], list[Event]]:
    events: list[Event] = []
    settings = {"policy": ONCE, **settings}
    return CritiqueRunnable(bound, judge() if by is None else by, observe=events.append, **settings), events


def run_in(events: list[Event]) -> Run:
    finished = events[-1]
    assert isinstance(finished, RunFinished)
    return finished.run


def ask(text: str = "1 + 2?") -> dict[str, Any]:
    return {"messages": [HumanMessage(text)]}


def texts(messages: list[BaseMessage]) -> list[str]:
    return [str(message.content) for message in messages]


def own_graph(model: ScriptedModel, **settings: Any) -> Any:
    """A graph of LangGraph's own parts."""
    from langgraph.prebuilt import ToolNode, tools_condition  # warns of itself in langgraph 1.0, see pytestmark

    graph = StateGraph(MessagesState)
    graph.add_node("model", lambda state: {"messages": [model.invoke(state["messages"])]})
    graph.add_node("tools", ToolNode([add]))
    graph.add_edge(START, "model")
    graph.add_conditional_edges("model", tools_condition)
    graph.add_edge("tools", "model")
    return graph.compile(**settings)


@feature(NAME, "sync", "best kept")
def test_a_chat_model_gives_its_own_message_and_revises_in_a_conversation() -> None:
    model = ScriptedModel.of("four", "three")
    solver, events = wrapped(model)
    answer = solver.invoke("1 + 2?")
    assert isinstance(answer, AIMessage)
    assert answer.content == "three"
    assert [message.type for message in model.seen[1]] == ["human", "ai", "human"]
    assert model.texts[1][:2] == ["1 + 2?", "four"]
    run = run_in(events)
    assert (run.chosen, run.usage.calls, run.usage.prompt_tokens, run.usage.cached_tokens) == (1, 4, 20, 8)
    assert run.usage.cost_usd is None
    solver, _ = wrapped(ScriptedModel.of("three", "four"), judge(0.9, 0.1))
    assert solver.invoke([("user", "1 + 2?")]).content == "three"


@feature(NAME, "async")
@pytest.mark.anyio
async def test_a_chain_gives_text_and_is_part_of_longer_chains() -> None:
    model = ScriptedModel.of("four", "three", "four", "three")
    by = judge((0.2, "count"), 0.9, (0.2, "count"), 0.9)
    chain = ChatPromptTemplate.from_template("Sum: {question}") | model | StrOutputParser()
    solver, events = wrapped(chain, by)
    assert await solver.ainvoke({"question": "1 + 2?"}) == "three"
    assert "Your earlier answer" in model.texts[1][0]
    longer = {"question": RunnablePassthrough()} | solver | str.upper
    assert await longer.ainvoke("1 + 2?") == "THREE"
    assert run_in(events).task.question == "1 + 2?"


def test_histories_plain_functions_and_their_types() -> None:
    seen: list[str] = []

    def answer(question: str) -> str:
        seen.append(question)
        return f"answer {len(seen)}"

    solver, events = wrapped(answer)
    assert solver.invoke("why?") == "answer 2"
    assert run_in(events).usage.calls == 4  # a function without model calls counts as one
    prompt = ChatPromptTemplate([MessagesPlaceholder("history"), ("user", "{question}")])
    model = ScriptedModel.of("four", "three")
    chain, events = wrapped(prompt | model | StrOutputParser(), input_key="question")
    assert chain.invoke({"history": [("user", "hi"), ("ai", "ho")], "question": "1 + 2?"}) == "three"
    assert model.texts[1][:2] == ["hi", "ho"]
    number, _ = wrapped(RunnableLambda(lambda question: {"total": len(question)}), judge(0.9), policy=Policy(rounds=0))
    assert number.invoke("four") == {"total": 4}
    with pytest.raises(InvalidInput, match="input_key"):
        wrapped(lambda given: "x")[0].invoke({"a": "x", "b": "y"})
    with pytest.raises(InvalidInput, match="no key 'question'"):
        chain.invoke({"history": []})


@feature(NAME, "tools seen")
@pytest.mark.parametrize("kind", ["agent", "own graph", "hidden"])
def test_the_judge_sees_tool_calls_and_results_even_of_a_graph_that_hides_them(kind: str) -> None:
    model, by = ScriptedModel.of(*SUMS), judge()
    graph = own_graph(model) if kind == "own graph" else create_agent(model, [add])
    solver, events = wrapped(graph | (lambda state: state["messages"][-1].content) if kind == "hidden" else graph, by)
    answer = solver.invoke(ask())
    first, second = (trajectory.messages for _, trajectory in by.seen)
    assert [(m.role, m.text, m.tool_call_id) for m in first[1:]] == [
        ("tool", "3", "call-0"),
        ("assistant", "it is four", None),
    ]
    assert first[0].tool_calls is not None
    assert first[0].tool_calls[0].name == "add"
    results = [m.tool_call_id for m in second if m.role == "tool"]
    assert results == ["call-0", "again-0"]
    assert run_in(events).usage.calls == 6
    if kind == "hidden":
        assert answer == "it is three"
        return
    assert texts(answer["messages"]) == ["1 + 2?", "", "3", "", "3", "it is three"]
    assert model.texts[2][:4] == ["1 + 2?", "", "3", "it is four"]
    assert "private-critique" in model.texts[2][4]


def test_what_a_retriever_found_and_a_tool_called_by_code_are_evidence() -> None:
    class Shelf(BaseRetriever):
        def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Document]:
            return [Document("eggs cost 3 euros")]

    def solve(question: str, config: RunnableConfig) -> str:
        found = Shelf().invoke(question, config)[0].page_content
        return f"{found} {add.invoke({'a': 1, 'b': 2}, config)}"

    by = judge(0.9)
    solver, _ = wrapped(RunnableLambda(solve), by)
    assert solver.invoke("eggs?") == "eggs cost 3 euros 3"
    shown = [(m.tool_calls[0].name if m.tool_calls else m.role, m.text) for m in by.seen[0][1].messages]
    assert shown == [
        ("Shelf", ""),
        ("tool", "eggs cost 3 euros"),
        ("add", ""),
        ("tool", "3"),
        ("assistant", "eggs cost 3 euros 3"),
    ]


@feature(NAME, "stream")
@pytest.mark.anyio
@pytest.mark.parametrize("chosen", [0, 1])
async def test_a_stream_holds_the_chunks_of_the_chosen_attempt_only(chosen: int) -> None:
    by = [(0.2 + 0.5 * (chosen == 0), "private-critique"), 0.5]

    def solver(bound: Any) -> CritiqueRunnable[Any, Any]:
        return wrapped(bound, judge(*by))[0]

    final = ["it is four", "it is three"][chosen]
    for chunks in (
        list(solver(ScriptedModel.of("it is four", "it is three")).stream("q")),
        [chunk async for chunk in solver(ScriptedModel.of("it is four", "it is three")).astream("q")],
    ):
        assert all(isinstance(chunk, AIMessageChunk) for chunk in chunks)
        assert [chunk.content for chunk in chunks if chunk.content] == ["it ", "is ", final.split()[-1]]
    piped = solver(ScriptedModel.of("it is four", "it is three") | StrOutputParser()) | RunnableLambda(str.upper)
    assert "".join(piped.stream("q")) == final.upper()
    for modes in ("values", "updates", "messages", ["messages", "values"], ["debug", "tasks", "checkpoints", "custom"]):
        for subgraphs in (False, True):
            runnable = solver(create_agent(ScriptedModel.of(*SUMS), [add]))
            shown = [c async for c in runnable.astream(ask(), stream_mode=modes, subgraphs=subgraphs)]
            shown_again = list(
                solver(create_agent(ScriptedModel.of(*SUMS), [add])).stream(
                    ask(), stream_mode=modes, subgraphs=subgraphs
                )
            )
            assert len(shown) == len(shown_again) > 0
            rejected = ["it is three", "it is four"][chosen]
            assert "private-critique" not in repr([shown, shown_again])
            assert rejected.split()[-1] not in repr([shown, shown_again])
    words = [
        chunk.content
        for chunk, _ in solver(create_agent(ScriptedModel.of(*SUMS), [add])).stream(ask(), stream_mode="messages")
    ]
    assert "".join(word for word in words if not word.isdigit()) == final


def test_typed_stream_parts_are_those_of_the_chosen_attempt() -> None:
    graph = create_agent(ScriptedModel.of(*SUMS), [add])
    if "version" not in inspect.signature(graph.stream).parameters:
        pytest.skip("langgraph 1.0 has no typed stream parts")
    parts = list(wrapped(graph)[0].stream(ask(), stream_mode=["updates"], version="v2"))
    assert {part["type"] for part in parts} == {"updates"}
    assert "it is three" in repr(parts)
    assert "it is four" not in repr(parts)


@pytest.mark.anyio
async def test_inside_a_graph_and_in_events_no_draft_shows() -> None:
    graph = StateGraph(MessagesState)
    by = judge(*[(0.2, "private-critique"), 0.9] * 2)
    solver, _ = wrapped(create_agent(ScriptedModel.of(*SUMS, *SUMS), [add]), by)
    graph.add_node("solve", lambda state: {"messages": [solver.invoke(state)["messages"][-1]]})
    graph.add_edge(START, "solve")
    modes = ["messages", "updates", "values", "debug", "custom"]
    shown = list(graph.compile().stream(ask(), stream_mode=modes, subgraphs=True))
    assert "it is three" in repr(shown)
    assert "it is four" not in repr(shown)
    assert "private-critique" not in repr(shown)
    heard = [event async for event in solver.astream_events(ask(), version="v2")]
    assert {event["name"] for event in heard} == {"CritiqueRunnable"}
    assert "it is three" in repr(heard)
    assert "it is four" not in repr(heard)


@feature(NAME, "memory kept")
@pytest.mark.anyio
@pytest.mark.parametrize("kind", ["agent", "own graph"])
@pytest.mark.parametrize("chosen", [0, 1])
async def test_a_thread_keeps_the_chosen_answer_and_nothing_of_the_rest(kind: str, chosen: int) -> None:
    model = ScriptedModel.of(*SUMS, "your sum was three")
    by = judge((0.5, "private-critique"), [0.1, 0.9][chosen], 1.0)
    make = own_graph if kind == "own graph" else lambda model, **more: create_agent(model, [add], **more)
    graph = make(model, checkpointer=InMemorySaver())
    solver, events = wrapped(graph, by)
    answer = solver.invoke(ask(), THREAD)
    expected = [["1 + 2?", "", "3", "it is four"], ["1 + 2?", "", "3", "", "3", "it is three"]][chosen]
    state = graph.get_state(THREAD)
    assert texts(state.values["messages"]) == texts(answer["messages"]) == expected
    assert state.next == ()
    assert run_in(events).chosen == chosen
    again = await solver.ainvoke(ask("what was my sum?"), THREAD)
    assert texts(again["messages"]) == [*expected, "what was my sum?", "your sum was three"]
    assert model.texts[4] == [*expected, "what was my sum?"]
    assert [m.text for m in by.seen[2][0].history] == expected
    assert [m.text for m in by.seen[2][1].messages] == ["your sum was three"]


def test_a_state_that_cannot_forget_is_left_at_the_chosen_attempt() -> None:
    class Adding(TypedDict):
        messages: Annotated[list[AnyMessage], operator.add]
        rounds: Annotated[int, operator.add]

    model = ScriptedModel.of("four", "three")
    graph = StateGraph(Adding)
    graph.add_node("left", lambda state: {"messages": [model.invoke(state["messages"])], "rounds": 1})
    graph.add_node("right", lambda state: {"rounds": 1})
    graph.add_edge(START, "left")
    graph.add_edge(START, "right")
    app = graph.compile(checkpointer=InMemorySaver())
    solver, _ = wrapped(app, judge((0.9, "again"), 0.1))
    answer = solver.invoke(ask(), THREAD)
    assert (texts(answer["messages"]), answer["rounds"]) == (["1 + 2?", "four"], 2)
    assert app.get_state(THREAD).values == answer
    assert app.get_state(THREAD).next == ()


def test_parallel_last_nodes_and_structured_answers() -> None:
    model = ScriptedModel.of("four", "three")
    graph = StateGraph(MessagesState)
    graph.add_node("first", lambda state: {"messages": []})
    graph.add_node("left", lambda state: {"messages": [model.invoke(state["messages"])]})
    graph.add_node("right", lambda state: {"messages": []})
    graph.add_edge(START, "first")
    graph.add_edge("first", "left")
    graph.add_edge("first", "right")
    app = graph.compile(checkpointer=InMemorySaver())
    assert texts(wrapped(app)[0].invoke(ask(), THREAD)["messages"]) == ["1 + 2?", "three"]
    assert texts(app.get_state(THREAD).values["messages"]) == ["1 + 2?", "three"]
    assert app.get_state(THREAD).next == ()
    by = judge((0.9, "again"), 0.1)
    replies = [calls(("Sum", {"total": n}), id=str(n)) for n in (3, 4)]
    structured = create_agent(ScriptedModel.of(*replies), [], response_format=ToolStrategy(Sum))
    assert wrapped(structured, by)[0].invoke(ask())["structured_response"] == Sum(total=3)
    assert [trajectory.answer for _, trajectory in by.seen] == ['{"total":3}', '{"total":4}']


def test_a_graph_that_waits_for_approval_is_judged_when_it_is_done() -> None:
    approve = HumanInTheLoopMiddleware(interrupt_on={"add": True})
    graph = create_agent(
        ScriptedModel.of(SUMS[0], "it is four", "it is three"),
        [add],
        middleware=[approve],
        checkpointer=InMemorySaver(),
    )
    by = judge()
    solver, _ = wrapped(graph, by)
    assert solver.invoke(ask(), THREAD)["__interrupt__"]
    assert by.seen == []
    answer = solver.invoke(Command(resume={"decisions": [{"type": "approve"}]}), THREAD)
    assert texts(answer["messages"]) == ["1 + 2?", "", "3", "it is three"]
    assert [m.role for m in by.seen[0][1].messages] == ["assistant", "tool", "assistant"]
    assert by.seen[0][0].question == "1 + 2?"
    assert texts(graph.get_state(THREAD).values["messages"]) == texts(answer["messages"])


def test_a_revision_that_waits_for_approval_ends_with_the_draft() -> None:
    approve = HumanInTheLoopMiddleware(interrupt_on={"add": True})
    model = ScriptedModel.of("draft", SUMS[0], "next")
    graph = create_agent(model, [add], middleware=[approve], checkpointer=InMemorySaver())
    solver, events = wrapped(graph, judge((0.2, "again"), 0.9))
    assert texts(solver.invoke(ask(), THREAD)["messages"]) == ["1 + 2?", "draft"]
    assert run_in(events).stop is StopReason.REVISION_FAILED
    state = graph.get_state(THREAD)
    assert (texts(state.values["messages"]), state.next) == (["1 + 2?", "draft"], ())
    assert texts(solver.invoke(ask("next?"), THREAD)["messages"])[-1] == "next"


@pytest.mark.anyio
@pytest.mark.parametrize("inner", ["runnable", "middleware"])
async def test_a_run_inside_a_run_is_counted_once(inner: str) -> None:
    asked = ScriptedModel.of("0.1", "0.2", "0.3", "0.4")

    def by_model(task: Task, trajectory: Trajectory) -> tuple[float, str]:
        told = asked.invoke("judge").text
        return float(told), f"not {told}"

    model = ScriptedModel.of("one", "two", "three", "four")
    if inner == "runnable":
        bound: Any = CritiqueRunnable(model, by_model, policy=ONCE)
    else:
        bound = create_agent(model, [], middleware=[CritiqueMiddleware(by_model, policy=ONCE)])
    by = judge((0.2, "again"), 0.9)
    solver, events = wrapped(bound, by)
    await solver.ainvoke([("user", "q")] if inner == "runnable" else ask())
    assert (len(model.seen), len(asked.seen), len(by.seen)) == (4, 4, 2)
    usage = run_in(events).usage
    assert (usage.calls, usage.prompt_tokens, usage.unmetered_calls) == (10, 80, 2)
    model, asked = ScriptedModel.of("one", "two", "three"), ScriptedModel.of("0.1", "0.2")
    capped, _ = wrapped(
        create_agent(model, [], middleware=[CritiqueMiddleware(by_model, policy=ONCE)]),
        judge(0.9),
        budget=Budget(calls=3),
    )
    assert texts((await capped.ainvoke(ask()))["messages"])[-1] == "one"  # no room to revise and judge inside


@feature(NAME, "budget")
@pytest.mark.parametrize("made", [2, 3, 4, 5, 6])
def test_a_budget_of_calls_is_exact(made: int) -> None:
    model, by = ScriptedModel.of(*SUMS), judge()
    solver, events = wrapped(create_agent(model, [add]), by, budget=Budget(calls=made))
    answer = solver.invoke(ask())
    run = run_in(events)
    assert run.usage.calls == len(model.seen) + len(by.seen) <= made
    assert answer["messages"][-1].content == ("it is three" if made == 6 else "it is four")
    assert run.stop is (StopReason.ROUNDS if made == 6 else StopReason.BUDGET)
    with pytest.raises(BudgetExceeded):
        wrapped(create_agent(ScriptedModel.of(*SUMS), [add]), budget=Budget(calls=1))[0].invoke(ask())


@feature(NAME, "cancellation")
@pytest.mark.anyio
@pytest.mark.parametrize("how", ["cancel", "deadline"])
async def test_cancelling_stops_the_model_and_the_thread_keeps_the_draft(how: str) -> None:
    hang = Hang()
    graph = create_agent(ScriptedModel.of("draft", hang), [], checkpointer=InMemorySaver())
    solver, events = wrapped(graph, budget=Budget(seconds=3) if how == "deadline" else None)
    work = asyncio.create_task(solver.ainvoke(ask(), THREAD))
    await asyncio.wait_for(hang.asked.wait(), 60)
    if how == "cancel":
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
    else:
        assert texts((await work)["messages"]) == ["1 + 2?", "draft"]
        assert run_in(events).stop is StopReason.BUDGET
    await asyncio.wait_for(hang.cancelled.wait(), 60)
    assert texts(graph.get_state(THREAD).values["messages"]) == ["1 + 2?", "draft"]


@pytest.mark.anyio
async def test_cancelling_stops_the_judge() -> None:
    hang = Hang()

    async def by(task: Task, trajectory: Trajectory) -> float:
        await hang.wait()
        return 1.0

    work = asyncio.create_task(wrapped(ScriptedModel.of("draft"), by)[0].ainvoke("q"))
    await asyncio.wait_for(hang.asked.wait(), 60)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    await asyncio.wait_for(hang.cancelled.wait(), 60)


@feature(NAME, "judge failure")
def test_a_judge_that_fails_costs_nobody_the_draft(tmp_path: Path) -> None:
    log = RunLog(tmp_path / "runs.jsonl")
    solver, events = wrapped(ScriptedModel.of("draft"), judge(RuntimeError("down")), log=log)
    assert solver.invoke("q").content == "draft"
    assert (run_in(events).status, run_in(events).stop) == (RunStatus.UNJUDGED, StopReason.JUDGE_FAILED)
    strict = Policy(on_judge_failure="raise")
    ready = Critique.of(judge(VerdictStatus.UNPARSEABLE), policy=strict, log=log)
    with pytest.raises(JudgeFailed) as error:
        CritiqueRunnable(ScriptedModel.of("draft"), ready).invoke("q")
    assert error.value.run.answer == "draft"
    assert [run.answer for run in log.read()] == ["draft", "draft"]


def test_failures_of_the_runnable_and_retries_and_fallbacks_around_it() -> None:
    solver, events = wrapped(ScriptedModel.of("draft", RuntimeError("lost")))
    assert solver.invoke("q").content == "draft"
    assert run_in(events).stop is StopReason.REVISION_FAILED
    with pytest.raises(RuntimeError, match="lost"):
        wrapped(ScriptedModel.of(RuntimeError("lost")))[0].invoke("q")
    flaky, _ = wrapped(ScriptedModel.of(RuntimeError("lost"), "draft", "revised"))
    assert flaky.with_retry(stop_after_attempt=2, wait_exponential_jitter=False).invoke("q").content == "revised"
    failing, _ = wrapped(ScriptedModel.of(RuntimeError("lost")))
    assert failing.with_fallbacks([RunnableLambda(lambda q: "second")]).invoke("q") == "second"


class Seen(BaseCallbackHandler):
    """Notes the runs that it hears of."""

    def __init__(self) -> None:
        self.runs: list[tuple[str, list[str], Any]] = []

    def on_chain_start(self, serialized: Any, inputs: Any, **kwargs: Any) -> None:
        self.runs.append((str(kwargs.get("name")), list(kwargs.get("tags") or []), kwargs.get("metadata") or {}))

    def on_chat_model_start(self, serialized: Any, messages: Any, **kwargs: Any) -> None:
        self.on_chain_start(serialized, messages, **{**kwargs, "name": "model"})


@pytest.mark.anyio
async def test_callbacks_tags_names_and_settings_reach_every_attempt() -> None:
    seen = Seen()
    solver, _ = wrapped(ScriptedModel.of("four", "three", "four", "three"))
    named = solver.with_config({"tags": ["mine"], "metadata": {"user": "ann"}})
    named.invoke("q", {"callbacks": [seen], "run_name": "summing"})
    await named.ainvoke("q", {"callbacks": [seen], "run_name": "summing"})
    assert [name for name, _, _ in seen.runs] == ["summing", "model", "model"] * 2
    assert all("mine" in tags for _, tags, _ in seen.runs)
    assert all(metadata["user"] == "ann" for _, _, metadata in seen.runs)
    bound, _ = wrapped(RunnableLambda(lambda q, config: config["configurable"]["who"]))
    assert bound.invoke("q", {"configurable": {"who": "ann"}}) == "ann"
    assert solver.bind(stop=["x"]).invoke  # a binding is a runnable like any other
    assert solver.get_input_jsonschema()
    assert solver.get_output_jsonschema()


@pytest.mark.anyio
async def test_parallel_batches_do_not_mix() -> None:
    def reply(messages: list[BaseMessage]) -> AIMessage:
        return AIMessage(f"{'revised' if len(messages) > 1 else 'draft'} {messages[0].content}")

    def by(task: Task, trajectory: Trajectory) -> tuple[float, str]:
        assert trajectory.answer.endswith(f" {task.question}")
        return (0.9 if trajectory.answer.startswith("revised") else 0.1), f"about {task.question}"

    solver, _ = wrapped(
        ScriptedModel.of(*[reply] * 64), by, policy=Policy(rounds=1, accept=0.5, on_judge_failure="raise")
    )
    questions = [f"q{n}" for n in range(16)]
    expected = [f"revised {question}" for question in questions]
    assert [answer.content for answer in solver.batch(questions, {"max_concurrency": 8})] == expected
    assert [answer.content for answer in await solver.abatch(questions)] == expected


@pytest.mark.anyio
async def test_sync_calls_work_inside_a_running_loop_and_closing_closes_an_own_judge() -> None:
    with wrapped(ScriptedModel.of("four", "three"))[0] as solver:
        assert solver.invoke("q").content == "three"
    async with wrapped(ScriptedModel.of("four", "three"))[0] as solver:
        assert (await solver.ainvoke("q")).content == "three"


def test_a_tool_calling_model_alone_is_judged_by_its_calls() -> None:
    by = judge()
    model = ScriptedModel.of(calls(("add", {"a": 1, "b": 1})), calls(("add", {"a": 1, "b": 2})))
    answer = wrapped(model.bind_tools([add]), by)[0].invoke("1 + 2?")
    assert answer.tool_calls[0]["args"] == {"a": 1, "b": 2}
    assert by.seen[0][1].answer == '[{"name":"add","arguments":{"a":1,"b":1}}]'
    assert isinstance(model.seen[1][1], AIMessage)
    assert model.seen[1][1].tool_calls == []  # nobody answered the call, so that it is told in words
    assert not any(isinstance(message, ToolMessage) for message in model.seen[1])
