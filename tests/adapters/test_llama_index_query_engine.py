"""Query engines over a real index, with scripted models."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

pytest.importorskip("llama_index.core")

from llama_index.core import MockEmbedding, VectorStoreIndex
from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.response.schema import (
    AsyncStreamingResponse,
    PydanticResponse,
    Response,
    StreamingResponse,
)
from llama_index.core.query_engine import CustomQueryEngine
from llama_index.core.schema import QueryBundle, TextNode
from llama_index.core.tools import QueryEngineTool
from pydantic import BaseModel, Field
from reagent_adapters.llama_index import CritiqueQueryEngine, run_of

from reagent_sdk import Budget, BudgetExceeded, InvalidInput, JudgeFailed, Policy, StopReason, VerdictStatus
from reagent_sdk.run import RunStatus
from reagent_sdk.task import Task
from reagent_sdk.testing import ScriptedJudge
from reagent_sdk.trajectory import Trajectory

from .llama_index_models import Hang, ScriptedLLM

NAME = "LlamaIndex query engine"
NOT_APPLICABLE = {(NAME, "memory kept"): "query engines have no memory"}
feature = pytest.mark.feature
USAGE = {"prompt_tokens": 10, "completion_tokens": 5}
QUESTION = "Who painted it?"
BETTER = ((0.2, "Read the second source."), 0.9)
WORSE = ((0.6, "Read the second source."), 0.1)
NODES = [TextNode(id_="a", text="Ada drew the plan."), TextNode(id_="b", text="Bob painted the wall.")]


def over_nodes(llm: ScriptedLLM, **options: Any) -> BaseQueryEngine:
    index = VectorStoreIndex(nodes=NODES, embed_model=MockEmbedding(embed_dim=4))
    return index.as_query_engine(llm=llm, similarity_top_k=2, **options)


def wrapped(llm: ScriptedLLM, judge: Any, **rules: Any) -> CritiqueQueryEngine:
    return CritiqueQueryEngine(over_nodes(llm), judge=judge, **rules)


@feature(NAME, "sync", "async", "tools seen", "best kept")
@pytest.mark.parametrize(("verdicts", "answer"), [(BETTER, "Bob painted it."), (WORSE, "Ada drew it.")])
@pytest.mark.parametrize("sync", [True, False])
def test_the_better_response_is_returned_with_its_sources(verdicts: Any, answer: str, sync: bool) -> None:
    llm, judge = ScriptedLLM(["Ada drew it.", "Bob painted it."], USAGE), ScriptedJudge(verdicts)
    with wrapped(llm, judge) as engine:
        response = engine.query(QUESTION) if sync else asyncio.run(engine.aquery(QUESTION))
    assert isinstance(response, Response)
    assert str(response) == answer
    assert {node.node.node_id for node in response.source_nodes} == {"a", "b"}
    run = run_of(response)
    assert run.answer == answer
    assert (run.usage.calls, run.usage.prompt_tokens, run.usage.completion_tokens) == (4, 20, 10)
    task, draft = judge.seen[0]
    assert task.question == QUESTION
    call, result, said = draft.messages
    assert call.tool_calls is not None
    assert (call.tool_calls[0].name, call.tool_calls[0].arguments_text) == ("retrieve", '{"query": "Who painted it?"}')
    assert "Bob painted the wall." in result.text
    assert "id=a score=" in result.text
    assert said.text == "Ada drew it."
    asked = llm.seen[1][-1][1]
    assert "Read the second source." in asked
    assert "Ada drew it." in asked
    assert "Bob painted the wall." in asked


def test_sync_queries_work_in_threads_and_in_a_running_loop() -> None:
    llm = ScriptedLLM(["One", "Two"])
    answers: list[str] = []
    with wrapped(llm, ScriptedJudge([1.0]), policy=Policy(rounds=0)) as engine:

        async def inside() -> None:
            answers.append(str(engine.query(QUESTION)))

        thread = threading.Thread(target=lambda: answers.append(str(engine.query(QUESTION))))
        thread.start()
        thread.join()
        asyncio.run(inside())
    assert answers == ["One", "Two"]


def test_a_revision_searches_with_the_question_as_it_was_asked() -> None:
    class Recording(CustomQueryEngine):
        asked: list[QueryBundle] = Field(default_factory=list)

        def custom_query(self, query_str: str) -> str:
            return "unused"

        def query(self, str_or_query_bundle: Any) -> Any:
            self.asked.append(str_or_query_bundle)
            return Response(f"answer {len(self.asked)}")

    inner = Recording()
    with CritiqueQueryEngine(inner, judge=ScriptedJudge(BETTER)) as engine:
        assert str(engine.query(QUESTION)) == "answer 2"
    assert inner.asked[1].embedding_strs == [QUESTION]
    assert inner.asked[1].query_str.startswith(QUESTION)
    assert "Read the second source." in inner.asked[1].query_str


@feature(NAME, "stream")
@pytest.mark.parametrize("sync", [True, False])
def test_a_streaming_response_is_judged_and_then_streams_from_memory(sync: bool) -> None:
    llm, judge = ScriptedLLM(["Ada drew it.", "Bob painted it."], USAGE), ScriptedJudge(BETTER)
    engine = CritiqueQueryEngine(over_nodes(llm, streaming=True), judge=judge)

    async def streamed() -> tuple[Any, list[str]]:
        response = await engine.aquery(QUESTION)
        assert isinstance(response, AsyncStreamingResponse)
        return response, [token async for token in response.async_response_gen()]

    with engine:
        if sync:
            response: Any = engine.query(QUESTION)
            assert isinstance(response, StreamingResponse)
            tokens = list(response.response_gen)
        else:
            response, tokens = asyncio.run(streamed())
    assert tokens == ["Bob", " painted", " it."]
    assert len(response.source_nodes) == 2
    assert [trajectory.answer for _, trajectory in judge.seen] == ["Ada drew it.", "Bob painted it."]
    assert run_of(response).usage.prompt_tokens == 20


def test_a_structured_response_keeps_its_type() -> None:
    class Painter(BaseModel):
        name: str

    class Structured(CustomQueryEngine):
        def custom_query(self, query_str: str) -> Any:
            return PydanticResponse(Painter(name="Bob"))

    judge = ScriptedJudge([1.0])
    with CritiqueQueryEngine(Structured(), judge=judge) as engine:
        response = engine.query(QUESTION)
    assert isinstance(response, PydanticResponse)
    assert response.response == Painter(name="Bob")
    assert judge.seen[0][1].answer == '{"name":"Bob"}'
    assert run_of(response).score == 1.0


@feature(NAME, "budget")
def test_a_call_that_the_budget_does_not_allow_is_not_made() -> None:
    llm = ScriptedLLM(["Ada drew it.", "Bob painted it."])
    with wrapped(llm, ScriptedJudge(BETTER), budget=Budget(calls=3)) as engine:
        run = run_of(engine.query(QUESTION))
    assert (run.stop, run.usage.calls, len(llm.seen)) == (StopReason.BUDGET, 2, 1)
    refining = ScriptedLLM(["Ada", "Bob"])
    inner = over_nodes(refining, response_mode="refine")  # a call for each node
    with (
        CritiqueQueryEngine(inner, judge=ScriptedJudge([1.0]), budget=Budget(calls=1)) as engine,
        pytest.raises(BudgetExceeded),
    ):
        engine.query(QUESTION)
    assert len(refining.seen) == 1


@feature(NAME, "cancellation")
@pytest.mark.parametrize("where", ["engine", "judge"])
def test_cancelling_the_caller_stops_the_engine_and_the_judge(where: str) -> None:
    async def work() -> None:
        hang = Hang()

        async def judge(task: Task, trajectory: Trajectory) -> float:
            await hang.wait()
            return 1.0

        llm = ScriptedLLM([hang] if where == "engine" else ["Bob"])
        engine = wrapped(llm, judge if where == "judge" else ScriptedJudge([1.0]))
        caller = asyncio.ensure_future(engine.aquery(QUESTION))
        await hang.asked.wait()
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        assert hang.cancelled.is_set()
        await engine.aclose()

    asyncio.run(asyncio.wait_for(work(), 120))


@feature(NAME, "judge failure")
def test_a_failed_judge_leaves_the_draft() -> None:
    with wrapped(ScriptedLLM(["Bob"]), ScriptedJudge([VerdictStatus.UNAVAILABLE])) as engine:
        response = engine.query(QUESTION)
    assert str(response) == "Bob"
    assert run_of(response).status is RunStatus.UNJUDGED
    strict = Policy(on_judge_failure="raise")
    judge = ScriptedJudge([VerdictStatus.UNAVAILABLE])
    with wrapped(ScriptedLLM(["Bob"]), judge, policy=strict) as engine, pytest.raises(JudgeFailed):
        engine.query(QUESTION)


def test_it_stands_where_a_query_engine_does() -> None:
    with wrapped(ScriptedLLM(["Bob"]), ScriptedJudge([1.0])) as engine:
        tool = QueryEngineTool.from_defaults(engine, name="paintings", description="Who painted what")
        assert tool.call(QUESTION).content == "Bob"
        assert any("text_qa_template" in name for name in engine.get_prompts())
    with pytest.raises(InvalidInput, match="ScriptedLLM is no query engine"):
        CritiqueQueryEngine(ScriptedLLM([]), judge=ScriptedJudge([1.0]))  # type: ignore[arg-type]
