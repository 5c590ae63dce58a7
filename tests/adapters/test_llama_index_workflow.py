"""Workflows of one's own with scripted models."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

import pytest

pytest.importorskip("llama_index.core")

from llama_index.core import Settings
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.workflow import Context, Event, StartEvent, StopEvent, Workflow, step
from reagent_adapters.llama_index import AttemptStarted, CritiqueFinished, CritiqueHandler, CritiqueWorkflow, DraftEvent
from workflows.errors import WorkflowCancelledByUser

from reagent_sdk import Budget, BudgetExceeded, InvalidInput, Policy, StopReason, VerdictStatus
from reagent_sdk.run import RunStatus
from reagent_sdk.testing import ScriptedJudge

from .llama_index_models import Hang, ScriptedLLM

NAME = "LlamaIndex workflow"
NOT_APPLICABLE = {(NAME, "sync"): "LlamaIndex workflows have no blocking call"}
feature = pytest.mark.feature
BETTER = ((0.2, "Check the sum."), 0.9)
WORSE = ((0.6, "Check the sum."), 0.1)


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(work, 120))


class Looked(Event):
    found: str


class Asked(StopEvent):
    text: str


class Solver(Workflow):
    """Looks something up and asks a model."""

    def __init__(self, llm: ScriptedLLM) -> None:
        super().__init__(timeout=None)
        self.llm = llm
        self.started: list[dict[str, Any]] = []

    @step
    async def look(self, ctx: Context, ev: StartEvent) -> Looked:
        self.started.append(dict(ev.items()))
        turns = await ctx.store.get("turns", default=0)
        await ctx.store.set("turns", turns + 1)
        ctx.write_event_to_stream(Looked(found="2 + 3 = 5"))
        return Looked(found=str(ev.get("question", default="")))

    @step
    async def answer(self, ctx: Context, ev: Looked) -> StopEvent:
        reply = await self.llm.achat([ChatMessage(role="user", content=ev.found)])
        return StopEvent(result={"answer": reply.message.content, "turns": await ctx.store.get("turns")})


def wrapped(llm: ScriptedLLM, judge: ScriptedJudge, **options: Any) -> CritiqueWorkflow:
    return CritiqueWorkflow(Solver(llm), judge=judge, **options)


def looked(result: Any, events: Sequence[Event]) -> list[dict[str, Any]]:
    return [{"role": "tool", "name": "look", "content": e.found} for e in events if isinstance(e, Looked)]


@feature(NAME, "async", "best kept")
@pytest.mark.parametrize(("verdicts", "answer"), [(BETTER, "Five"), (WORSE, "Six")])
def test_the_better_result_is_returned_as_it_is(verdicts: Any, answer: str) -> None:
    llm, judge = ScriptedLLM(["Six", "Five"]), ScriptedJudge(verdicts)

    async def work() -> CritiqueHandler[Any]:
        agent = wrapped(llm, judge)
        handler = agent.run(question="What is 2 + 3?", depth=2)
        assert await handler == {"answer": answer, "turns": 1}  # each attempt has a context of its own
        assert [one["depth"] for one in agent.workflow.started] == [2, 2]  # type: ignore[attr-defined]
        return handler

    made = run(work()).run
    assert made.usage.calls == 4
    assert judge.seen[0][0].question == "What is 2 + 3?"
    assert judge.seen[0][1].answer == '{"answer":"Six","turns":1}'
    asked = llm.seen[1][0][1]
    assert asked.startswith("What is 2 + 3?")
    assert "Six" in asked
    assert "Check the sum." in asked


@feature(NAME, "tools seen")
def test_answer_and_trajectory_may_be_read_by_functions_and_feedback_may_have_a_field() -> None:
    llm, judge = ScriptedLLM(["Six", "Five"]), ScriptedJudge(BETTER)

    async def work() -> None:
        agent = wrapped(llm, judge, feedback="hint", answer=lambda result: result["answer"], trajectory=looked)
        await agent.run(question="What is 2 + 3?")
        first, second = agent.workflow.started  # type: ignore[attr-defined]
        assert first == {"question": "What is 2 + 3?"}
        assert second["question"] == "What is 2 + 3?"
        assert "Check the sum." in second["hint"]

    run(work())
    assert judge.seen[0][1].answer == "Six"
    assert [(m.role, m.name, m.text) for m in judge.seen[0][1].messages] == [
        ("tool", "look", "2 + 3 = 5"),
        ("assistant", None, "Six"),
    ]


@feature(NAME, "memory kept")
def test_a_context_is_shared_by_all_attempts_and_turns() -> None:
    async def work() -> None:
        agent = wrapped(
            ScriptedLLM(["Six", "Five", "Seven"]), ScriptedJudge([*BETTER, 1.0]), policy=Policy(accept=0.95)
        )
        ctx: Context = Context(agent.workflow)
        assert (await agent.run(question="What is 2 + 3?", ctx=ctx))["turns"] == 2
        assert (await agent.run(question="And 3 + 4?", ctx=ctx))["turns"] == 3

    run(work())


@feature(NAME, "stream")
@pytest.mark.parametrize("drafts", [False, True])
def test_only_events_of_the_chosen_attempt_leave_and_drafts_on_request(drafts: bool) -> None:
    async def work() -> list[Event]:
        agent = wrapped(ScriptedLLM(["Six", "Five"]), ScriptedJudge(BETTER), drafts=drafts)
        return [event async for event in agent.run(question="What is 2 + 3?").stream_events()]

    events = run(work())
    expected = [AttemptStarted, DraftEvent] if drafts else [AttemptStarted]
    assert [type(event) for event in events[: len(expected)]] == expected
    assert [type(event) for event in events[-3:]] == [Looked, CritiqueFinished, StopEvent]
    assert sum(isinstance(event, Looked) for event in events) == 1
    assert sum(isinstance(event, DraftEvent) for event in events) == 2 * drafts


@feature(NAME, "budget")
def test_calls_of_a_workflows_model_are_counted_before_they_are_made() -> None:
    async def work(calls: int) -> tuple[Any, ScriptedLLM]:
        llm = ScriptedLLM(["Six", "Five"])
        handler = wrapped(llm, ScriptedJudge(BETTER), budget=Budget(calls=calls)).run(question="What is 2 + 3?")
        assert (await handler)["answer"] == "Six"
        return handler.run, llm

    made, llm = run(work(3))
    assert (made.stop, made.usage.calls, len(llm.seen)) == (StopReason.BUDGET, 2, 1)

    class Twice(Solver):
        @step
        async def answer(self, ctx: Context, ev: Looked) -> StopEvent:
            await super().answer(ctx, ev)
            return StopEvent(result=(await super().answer(ctx, ev)).result["answer"])

    async def too_little() -> None:
        llm = ScriptedLLM(["Six", "Five"])
        with pytest.raises(BudgetExceeded):
            await CritiqueWorkflow(Twice(llm), judge=ScriptedJudge([1.0]), budget=Budget(calls=1)).run(question="Hm")
        assert len(llm.seen) == 1

    run(too_little())


@feature(NAME, "cancellation")
@pytest.mark.parametrize("how", ["await", "cancel_run"])
def test_cancelling_the_caller_stops_the_workflow(how: str) -> None:
    async def work() -> None:
        hang = Hang()
        handler = wrapped(ScriptedLLM([hang]), ScriptedJudge([1.0])).run(question="What is 2 + 3?")

        async def awaited() -> Any:
            return await handler

        caller = asyncio.ensure_future(awaited())
        await hang.asked.wait()
        if how == "await":
            caller.cancel()
            with pytest.raises(asyncio.CancelledError):
                await caller
        else:
            await handler.cancel_run()
            with pytest.raises(WorkflowCancelledByUser):
                await caller
        await hang.cancelled.wait()
        assert handler.is_done()

    run(work())


@feature(NAME, "judge failure")
def test_a_failed_judge_leaves_the_draft() -> None:
    async def work() -> CritiqueHandler[Any]:
        handler = wrapped(ScriptedLLM(["Five"]), ScriptedJudge([VerdictStatus.UNPARSEABLE])).run(question="2 + 3?")
        assert (await handler)["answer"] == "Five"
        return handler

    assert run(work()).run.status is RunStatus.UNJUDGED


def test_the_default_model_is_counted_and_long_containers_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    class Long(list[Any]):
        def __iter__(self) -> Any:
            raise AssertionError("an index may be long")

    class Hidden(Workflow):
        nodes = Long()

        @step
        async def answer(self, ev: StartEvent) -> StopEvent:
            return StopEvent(result=(await Settings.llm.achat([ChatMessage("One"), ChatMessage("Two")])).message)

    async def work() -> None:
        monkeypatch.setattr(Settings, "_llm", ScriptedLLM(["Five"], {"prompt_tokens": 10, "completion_tokens": 5}))
        inner = Hidden()
        inner.nodes = Long([0] * 1000)
        handler = CritiqueWorkflow(inner, judge=ScriptedJudge([1.0]), policy=Policy(rounds=0)).run(question="2 + 3?")
        assert (await handler).content == "Five"
        assert handler.run is not None
        assert (handler.run.usage.calls, handler.run.usage.prompt_tokens) == (2, 10)

    run(work())


def test_a_stop_event_of_ones_own_is_the_result() -> None:
    class Own(Workflow):
        @step
        async def answer(self, ev: StartEvent) -> Asked:
            return Asked(text=ev.topic)

    judge = ScriptedJudge([1.0])

    async def work() -> None:
        result = await CritiqueWorkflow(Own(), judge=judge).run(topic="Pirates", style="short", length=3)
        assert isinstance(result, Asked)
        assert result.text == "Pirates"

    run(work())
    assert "Pirates" in judge.seen[0][1].answer


def test_the_question_must_be_found() -> None:
    async def work() -> None:
        llm, judge = ScriptedLLM(["Five", "Five"]), ScriptedJudge([1.0])
        once = Policy(rounds=0)
        await wrapped(llm, judge, policy=once).run(puzzle="2 + 3?", depth=2)
        assert judge.seen[-1][0].question == "2 + 3?"
        await wrapped(llm, judge, question="puzzle", policy=once).run(puzzle="3 + 4?", style="short")
        assert judge.seen[-1][0].question == "3 + 4?"
        with pytest.raises(InvalidInput, match=r"no field of \['puzzle', 'style'\] holds the question"):
            wrapped(llm, judge).run(puzzle="2 + 3?", style="short")
        with pytest.raises(InvalidInput, match="start_event"):
            wrapped(llm, judge).run(start_event=StartEvent())

    run(work())
