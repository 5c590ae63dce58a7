"""LlamaIndex agents with scripted models, and once with a real one."""

from __future__ import annotations

import asyncio
import importlib
import json
from collections.abc import AsyncIterator, Coroutine, Sequence
from typing import Any

import anyio
import pytest

pytest.importorskip("llama_index.core")

from llama_index.core.agent.workflow import (
    AgentInput,
    AgentOutput,
    AgentStream,
    AgentWorkflow,
    CodeActAgent,
    FunctionAgent,
    ReActAgent,
    ToolCallResult,
)
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, CompletionResponse, ThinkingBlock
from llama_index.core.llms.callbacks import llm_completion_callback
from llama_index.core.llms.mock import MockLLM
from llama_index.core.memory import BaseMemory, ChatMemoryBuffer, Memory
from llama_index.core.tools import FunctionTool
from llama_index.core.workflow import Context, Event, HumanResponseEvent, InputRequiredEvent, StopEvent
from pydantic import BaseModel
from reagent_adapters import llama_index, versions
from reagent_adapters.critique import Critique
from reagent_adapters.llama_index import (
    AttemptJudged,
    AttemptStarted,
    CritiqueAgent,
    CritiqueFinished,
    CritiqueHandler,
    DraftEvent,
    run_of,
)
from workflows.errors import WorkflowCancelledByUser

from reagent_sdk import Budget, BudgetExceeded, InvalidInput, JudgeFailed, Policy, RunLog, StopReason, VerdictStatus
from reagent_sdk.messages import ToolCall
from reagent_sdk.run import RunStatus
from reagent_sdk.task import Task
from reagent_sdk.testing import ChatServer, Reply, ScriptedJudge
from reagent_sdk.trajectory import Trajectory

from .llama_index_models import Hang, ScriptedLLM, ServerLLM, calls
from .llama_index_tools import ask, count
from .real_model import KEY, MODEL, model_url  # noqa: F401 - a fixture

NAME = "LlamaIndex agent"
NOT_APPLICABLE = {(NAME, "sync"): "LlamaIndex agents have no blocking call"}
feature = pytest.mark.feature
pytestmark = [  # LlamaIndex looks at all attributes of its agents, which are pydantic models
    pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince20"),
    pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince211"),
    pytest.mark.filterwarnings("ignore:is_running called from within a step:DeprecationWarning"),
]
USAGE = {"prompt_tokens": 10, "completion_tokens": 5}
ONCE = Policy(rounds=0)
BETTER = ((0.2, "Check the sum."), 0.9)
WORSE = ((0.6, "Check the sum."), 0.1)


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(work, 120))


def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


def agent_of(llm: ScriptedLLM, **fields: Any) -> FunctionAgent:
    return FunctionAgent(llm=llm, tools=[add], **fields)


def buffer() -> ChatMemoryBuffer:
    return ChatMemoryBuffer.from_defaults(token_limit=10_000)


async def texts(memory: BaseMemory) -> list[tuple[str, str]]:
    return [(message.role.value, message.content or "") for message in await memory.aget_all()]


async def streamed(handler: CritiqueHandler[Any]) -> list[Event]:
    return [event async for event in handler.stream_events()]


def reply(events: list[Event]) -> str:
    return "".join(event.delta for event in events if isinstance(event, AgentStream))


SCRIPT = [calls(("add", {"a": 2, "b": 2})), "It is five", calls(("add", {"a": 2, "b": 3})), "It is 2 + 3 = 5"]


@feature(NAME, "async", "tools seen", "best kept")
@pytest.mark.parametrize(("verdicts", "answer"), [(BETTER, "It is 2 + 3 = 5"), (WORSE, "It is five")])
def test_the_better_attempt_is_returned_in_the_agents_own_type(verdicts: Any, answer: str) -> None:
    llm, judge = ScriptedLLM(SCRIPT, USAGE), ScriptedJudge(verdicts)

    async def work() -> CritiqueHandler[AgentOutput]:
        handler = CritiqueAgent(agent_of(llm, system_prompt="Be exact."), judge=judge).run("What is 2 + 3?")
        output = await handler
        assert isinstance(output, AgentOutput)
        assert str(output) == answer
        assert isinstance(output.tool_calls[0], ToolCallResult)
        assert run_of(output) is handler.run
        assert "reagent_run" not in output.model_dump_json()
        return handler

    made = run(work()).run
    assert made.answer == answer
    (task, draft), (_, revision) = judge.seen
    assert task.question == "What is 2 + 3?"
    first = [
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [
                {"id": "call-0", "type": "function", "function": {"name": "add", "arguments": '{"a": 2, "b": 2}'}}
            ],
        },
        {"role": "tool", "content": "4", "tool_call_id": "call-0", "name": "add"},
    ]
    assert draft.to_openai() == [*first, {"role": "assistant", "content": "It is five"}]
    assert revision.to_openai()[:2] == first  # the revision builds on it
    assert [message.text for message in revision.messages] == ["", "4", "", "5", "It is 2 + 3 = 5"]
    asked = llm.seen[2]
    assert [role for role, _ in asked] == ["system", "user", "assistant", "tool", "assistant", "user"]
    assert "Check the sum." in asked[-1][1]
    assert made.usage.calls == 6
    assert (made.usage.prompt_tokens, made.usage.completion_tokens) == (40, 20)
    assert made.usage.unmetered_calls == 2  # the judge's
    assert made.usage.unpriced_calls == 6
    assert draft.usage.calls == 2
    assert draft.usage.prompt_tokens == 20


@feature(NAME, "memory kept")
@pytest.mark.parametrize("kind", [ChatMemoryBuffer, Memory])
@pytest.mark.parametrize(("verdicts", "answer"), [(BETTER, "Right"), (WORSE, "Wrong")])
def test_memory_holds_the_question_and_the_chosen_attempt_alone(
    verdicts: Any, answer: str, kind: type[ChatMemoryBuffer | Memory]
) -> None:
    llm = ScriptedLLM(["Hello", "Wrong", calls(("add", {"a": 1, "b": 2})), "Right", "You asked for a sum"])
    judge = ScriptedJudge([1.0, *verdicts, 1.0])
    memory = kind.from_defaults(token_limit=10_000)

    async def work() -> None:
        agent = CritiqueAgent(agent_of(llm), judge=judge, policy=Policy(accept=0.95))
        await agent.run("Hi", memory=memory)
        await agent.run("What is 1 + 2?", memory=memory)
        kept = [("user", "Hi"), ("assistant", "Hello"), ("user", "What is 1 + 2?")]
        used = [("assistant", ""), ("tool", "3")] if answer == "Right" else []
        assert await texts(memory) == [*kept, *used, ("assistant", answer)]
        await agent.run("What did I ask?", memory=memory)
        if isinstance(memory, Memory):
            await memory.sql_store._async_engine.dispose()  # type: ignore[attr-defined] # it does not close itself

    run(work())
    assert [text for _, text in llm.seen[1]] == ["Hi", "Hello", "What is 1 + 2?"]
    assert [text for _, text in llm.seen[2]][:4] == ["Hi", "Hello", "What is 1 + 2?", "Wrong"]
    assert [text for _, text in llm.seen[-1]][-2:] == [answer, "What did I ask?"]
    assert not any("Check the sum" in text for _, text in llm.seen[-1])
    assert [message.text for message in judge.seen[1][0].history] == ["Hi", "Hello"]


@feature(NAME, "memory kept")
def test_a_context_carries_memory_and_state_from_turn_to_turn() -> None:
    llm = ScriptedLLM([calls(("count", {})), "One", calls(("count", {})), "Two", "You said count"])
    judge = ScriptedJudge([*BETTER, 1.0])
    inner = FunctionAgent(llm=llm, tools=[count], initial_state={"count": 0})

    async def work() -> None:
        agent = CritiqueAgent(inner, judge=judge, policy=Policy(accept=0.95))
        ctx: Context = Context(inner)
        assert str(await agent.run(user_msg="Count", ctx=ctx)) == "Two"
        assert (await ctx.store.get("state"))["count"] == 2
        memory = await ctx.store.get("memory")
        assert [message.content for message in memory.get_all()] == ["Count", None, "2", "Two"]
        assert str(await agent.run(user_msg="What did I say?", ctx=ctx)) == "You said count"

    run(work())
    last = [text for _, text in llm.seen[-1]]
    assert last[:4] == ["Count", "", "2", "Two"]
    assert "What did I say?" in last[4]
    assert "{'count': 2}" in last[4]


def test_a_chat_history_may_hold_the_question() -> None:
    llm, judge = ScriptedLLM(["Four"]), ScriptedJudge([1.0])
    history = [
        ChatMessage(role="user", content="Add up"),
        ChatMessage(role="assistant", content="What?"),
        {"role": "user", "content": "2 and 2"},
    ]
    memory = buffer()

    async def work() -> None:
        agent = CritiqueAgent(agent_of(llm), judge=judge, policy=Policy(rounds=0))
        await agent.run(chat_history=history, memory=memory)  # type: ignore[arg-type]
        assert [text for _, text in await texts(memory)] == ["Add up", "What?", "2 and 2", "Four"]
        with pytest.raises(InvalidInput, match="no question"):
            await agent.run(chat_history=history[:2])  # type: ignore[arg-type]

    run(work())
    assert [text for _, text in llm.seen[0]] == ["Add up", "What?", "2 and 2"]
    assert judge.seen[0][0].question == "2 and 2"


@feature(NAME, "stream")
@pytest.mark.parametrize(("verdicts", "answer"), [(BETTER, "It is 2 + 3 = 5"), (WORSE, "It is five")])
def test_only_the_chosen_attempt_is_streamed(verdicts: Any, answer: str) -> None:
    llm = ScriptedLLM(SCRIPT)

    async def work() -> list[Event]:
        handler = CritiqueAgent(agent_of(llm), judge=ScriptedJudge(verdicts)).run("What is 2 + 3?")
        events = await streamed(handler)
        with pytest.raises(Exception, match="already been consumed"):
            await streamed(handler)
        assert isinstance(events[-1], StopEvent)
        assert events[-1].result is await handler
        return events

    events = run(work())
    assert reply(events) == answer
    assert len([event for event in events if isinstance(event, AgentStream)]) > 3  # word by word
    assert [event.tool_output.content for event in events if isinstance(event, ToolCallResult)] == (
        ["5"] if verdicts is BETTER else ["4"]
    )
    told = [event for event in events if not isinstance(event, CritiqueFinished)]
    assert "Check the sum" not in repr(told)
    assert ("It is five" in repr(told)) == (answer == "It is five")
    kinds = [type(event) for event in events if isinstance(event, AttemptStarted | AttemptJudged)]
    assert kinds == [AttemptStarted, AttemptJudged] * 2
    scores = [event.score for event in events if isinstance(event, AttemptJudged)]
    assert scores == [verdicts[0][0], verdicts[1]]
    (finished,) = [event for event in events if isinstance(event, CritiqueFinished)]
    assert finished.run.answer == answer


@feature(NAME, "stream")
def test_drafts_are_streamed_on_request_and_marked() -> None:
    async def work() -> list[Event]:
        agent = CritiqueAgent(agent_of(ScriptedLLM(SCRIPT)), judge=ScriptedJudge(BETTER), drafts=True)
        return await streamed(agent.run("What is 2 + 3?"))

    events = run(work())
    assert reply(events) == "It is 2 + 3 = 5"
    drafts = [event for event in events if isinstance(event, DraftEvent)]
    assert reply([event.event for event in drafts if event.attempt == 0]) == "It is five"
    assert reply([event.event for event in drafts if event.attempt == 1]) == "It is 2 + 3 = 5"
    assert any(isinstance(event.event, AgentInput) for event in drafts)
    first = events.index(next(event for event in events if isinstance(event, AttemptJudged)))
    assert any(isinstance(event, DraftEvent) for event in events[:first])  # before it was judged


REACT = [
    "Thought: I need a tool.\nAction: add\nAction Input: {'a': 2, 'b': 3}",
    "Thought: I can answer.\nAnswer: Six",
    "Thought: I forgot the format",
    "Thought: I checked.\nAnswer: Five",
]


def test_a_react_agent_shows_its_thoughts_and_tools() -> None:
    llm, judge = ScriptedLLM(REACT), ScriptedJudge(BETTER)

    async def work() -> None:
        handler = CritiqueAgent(ReActAgent(llm=llm, tools=[add]), judge=judge).run("What is 2 + 3?")
        assert str(await handler) == "Five"

    run(work())
    draft, revision = judge.seen[0][1], judge.seen[1][1]
    assert draft.answer == "Six"
    assert draft.messages[0].text.startswith("Thought: I need a tool.")
    assert draft.messages[0].tool_calls is not None
    assert json.loads(draft.messages[0].tool_calls[0].arguments_text) == {"a": 2, "b": 3}
    assert draft.messages[1].text == "5"
    assert draft.messages[1].tool_call_id == draft.messages[0].tool_calls[0].id
    assert revision.messages[2].text == "Thought: I forgot the format"
    assert "Error while parsing" in revision.messages[3].text
    assert any("Check the sum." in text for _, text in llm.seen[2])
    assert any("Six" in text for _, text in llm.seen[2])  # its own draft


def test_handoffs_between_agents_are_seen() -> None:
    def desk(llm: ScriptedLLM, name: str) -> FunctionAgent:
        return FunctionAgent(name=name, description=f"The {name}", llm=llm, tools=[add])

    handoff = calls(("handoff", {"to_agent": "adder", "reason": "numbers"}))
    front, adder = ScriptedLLM([handoff, handoff]), ScriptedLLM([calls(("add", {"a": 2, "b": 3})), "Five", "5"])
    judge = ScriptedJudge(BETTER)

    async def work() -> None:
        team = AgentWorkflow(agents=[desk(front, "front"), desk(adder, "adder")], root_agent="front")
        handler = CritiqueAgent(team, judge=judge).run("What is 2 + 3?")
        output = await handler
        assert (str(output), output.current_agent_name) == ("5", "adder")
        assert handler.run is not None
        assert handler.run.usage.calls == 7  # the models of both agents were found

    run(work())
    draft = judge.seen[0][1]
    assert [(message.name, message.role) for message in draft.messages] == [
        ("front", "assistant"),
        ("handoff", "tool"),
        ("adder", "assistant"),
        ("add", "tool"),
        ("adder", "assistant"),
    ]
    assert draft.messages[0].tool_calls is not None
    assert '"to_agent": "adder"' in draft.messages[0].tool_calls[0].arguments_text


@pytest.mark.skipif("early_stopping_method" not in FunctionAgent.model_fields, reason="older versions cannot")
def test_an_answer_that_was_forced_by_the_step_limit_lists_no_calls() -> None:
    llm = ScriptedLLM([calls(("add", {"a": 2, "b": 3})), calls(("add", {"a": 2, "b": 3})), "Five"])
    judge = ScriptedJudge([1.0])

    async def work() -> None:
        agent = CritiqueAgent(agent_of(llm), judge=judge, policy=ONCE)
        assert str(await agent.run("2 + 3?", max_iterations=2, early_stopping_method="generate")) == "Five"

    run(work())
    last = judge.seen[0][1].messages[-1]
    assert (last.text, last.tool_calls) == ("Five", None)


def test_a_code_agent_shows_its_code_and_what_it_gave() -> None:
    async def execute(code: str) -> str:
        return f"ran {code}"

    llm, judge = ScriptedLLM(["<execute>\nprint(2 + 3)\n</execute>", "Five"]), ScriptedJudge([1.0])

    async def work() -> None:
        coder = CodeActAgent(code_execute_fn=execute, llm=llm, tools=[])
        assert str(await CritiqueAgent(coder, judge=judge, policy=ONCE).run("2 + 3?")) == "Five"

    run(work())
    call, result, answer = judge.seen[0][1].messages
    assert call.tool_calls is not None
    assert call.tool_calls[0].arguments_text == '{"code": "print(2 + 3)"}'
    assert (result.text, answer.text) == ("ran print(2 + 3)", "Five")


def test_a_tool_may_give_the_answer() -> None:
    llm, judge = ScriptedLLM([calls(("add", {"a": 2, "b": 3}))]), ScriptedJudge([1.0])

    async def work() -> None:
        direct = FunctionAgent(llm=llm, tools=[FunctionTool.from_defaults(add, return_direct=True)])
        assert str(await CritiqueAgent(direct, judge=judge, policy=ONCE).run("2 + 3?")) == "5"

    run(work())
    assert [(message.role, message.text) for message in judge.seen[0][1].messages] == [
        ("assistant", ""),
        ("tool", "5"),
        ("assistant", "5"),
    ]


@feature(NAME, "budget")
def test_time_that_runs_out_stops_the_agent() -> None:
    async def work() -> None:
        hang = Hang()
        llm = ScriptedLLM(["Four", hang])
        agent = CritiqueAgent(agent_of(llm), judge=ScriptedJudge(BETTER), budget=Budget(seconds=1))
        handler = agent.run("2 + 2?")
        assert str(await handler) == "Four"
        assert hang.cancelled.is_set()
        assert handler.run is not None
        assert handler.run.stop is StopReason.BUDGET

    run(work())


@feature(NAME, "budget")
def test_a_call_that_the_budget_does_not_allow_is_not_made() -> None:
    async def work(script: list[Any], calls: int) -> tuple[Any, ScriptedLLM]:
        llm = ScriptedLLM(script)
        agent = CritiqueAgent(agent_of(llm), judge=ScriptedJudge(BETTER), budget=Budget(calls=calls))
        handler = agent.run("What is 2 + 3?")
        assert str(await handler) == "It is five"
        return handler.run, llm

    one_more = calls(("add", {"a": 1, "b": 1}))
    made, llm = run(work([*SCRIPT[:3], one_more, one_more, "Never"], 5))
    assert made.stop is StopReason.BUDGET
    assert made.usage.calls == 5  # draft 2, judge 1, and 2 of the revision, whose third was refused
    assert len(llm.seen) == 4

    async def too_little() -> None:
        llm = ScriptedLLM(SCRIPT)
        with pytest.raises(BudgetExceeded):
            await CritiqueAgent(agent_of(llm), judge=ScriptedJudge([1.0]), budget=Budget(calls=1)).run("Hm")
        assert len(llm.seen) == 1

    run(too_little())


def hanging(where: str) -> tuple[CritiqueAgent, Hang]:
    hang = Hang()
    llm = ScriptedLLM([hang] if where == "agent" else ["Five"])

    async def judge(task: Task, trajectory: Trajectory) -> float:
        await hang.wait()
        return 1.0

    return CritiqueAgent(agent_of(llm), judge=judge if where == "judge" else ScriptedJudge([1.0])), hang


@feature(NAME, "cancellation")
@pytest.mark.parametrize("where", ["agent", "judge"])
@pytest.mark.parametrize("how", ["await", "stream", "scope", "cancel_run"])
def test_cancelling_the_caller_stops_the_agent_and_the_judge(where: str, how: str) -> None:
    async def work() -> None:
        agent, hang = hanging(where)
        memory = buffer()
        handler = agent.run("What is 2 + 3?", memory=memory)

        async def awaited() -> Any:
            return await handler

        scope = anyio.CancelScope()

        async def in_scope() -> None:
            with scope:
                await handler
            assert scope.cancelled_caught
            raise asyncio.CancelledError

        works = {"stream": streamed(handler), "scope": in_scope()}
        caller = asyncio.ensure_future(works.pop(how, None) or awaited())
        for unused in works.values():
            unused.close()
        await hang.asked.wait()
        if how == "cancel_run":
            await handler.cancel_run()
            with pytest.raises(WorkflowCancelledByUser):
                await caller
        else:
            (scope if how == "scope" else caller).cancel()
            with pytest.raises(asyncio.CancelledError):
                await caller
        assert hang.cancelled.is_set()
        assert handler.is_done()
        assert await texts(memory) == [("user", "What is 2 + 3?")]

    run(work())


@feature(NAME, "judge failure")
def test_a_failed_judge_leaves_the_draft() -> None:
    async def work(policy: Policy) -> CritiqueHandler[AgentOutput]:
        agent = CritiqueAgent(
            agent_of(ScriptedLLM(["Five"])), judge=ScriptedJudge([VerdictStatus.UNAVAILABLE]), policy=policy
        )
        handler = agent.run("What is 2 + 3?")
        assert str(await handler) == "Five"
        return handler

    made = run(work(Policy())).run
    assert made.status is RunStatus.UNJUDGED
    assert made.stop is StopReason.JUDGE_FAILED
    with pytest.raises(JudgeFailed):
        run(work(Policy(on_judge_failure="raise")))


def test_a_failing_agent_raises_its_own_error_and_a_failing_revision_keeps_the_draft() -> None:
    async def fails() -> None:
        handler = CritiqueAgent(agent_of(ScriptedLLM([OSError("no model")])), judge=ScriptedJudge([1.0])).run("Hm?")
        assert [type(event) for event in await streamed(handler)] == [AttemptStarted]
        with pytest.raises(OSError, match="no model"):
            await handler
        assert handler.run is not None
        assert handler.run.stop is StopReason.AGENT_FAILED

    async def fails_later() -> None:
        llm = ScriptedLLM(["Five", *[calls(("add", {"a": 1, "b": 1}))] * 3])
        handler = CritiqueAgent(agent_of(llm), judge=ScriptedJudge(BETTER)).run("Hm?", max_iterations=3)
        assert str(await handler) == "Five"
        assert handler.run is not None
        assert handler.run.stop is StopReason.REVISION_FAILED
        assert "Max iterations of 3 reached" in handler.run.notes[-1]

    run(fails())
    run(fails_later())


def test_a_structured_answer_is_what_the_judge_reads() -> None:
    class Sum(BaseModel):
        total: int

    judge = ScriptedJudge([1.0])

    def structured(messages: list[ChatMessage]) -> dict[str, Any]:
        return Sum(total=len(messages)).model_dump()

    async def work() -> None:
        inner = agent_of(ScriptedLLM(["Two"]), structured_output_fn=structured)
        output = await CritiqueAgent(inner, judge=judge).run("What is 1 + 1?")
        assert output.get_pydantic_model(Sum) == Sum(total=2)

    run(work())
    assert judge.seen[0][1].answer == '{"total":2}'
    assert judge.seen[0][1].messages[-1].text == "Two"


def test_thoughts_of_a_model_are_kept_apart() -> None:
    thinking = ChatMessage(
        role="assistant", blocks=[ThinkingBlock(content="2 and 3 are 5"), *ChatMessage("Five").blocks]
    )
    judge = ScriptedJudge([1.0])

    async def work() -> None:
        assert str(await CritiqueAgent(agent_of(ScriptedLLM([thinking])), judge=judge).run("2 + 3?")) == "Five"

    run(work())
    message = judge.seen[0][1].messages[-1]
    assert (message.text, message.reasoning) == ("Five", "2 and 3 are 5")


def test_a_question_to_a_human_leaves_at_once_and_its_answer_arrives() -> None:
    llm = ScriptedLLM([calls(("ask", {"question": "Sure?"})), "You said yes"])
    judge = ScriptedJudge([1.0])

    async def work() -> None:
        handler = CritiqueAgent(FunctionAgent(llm=llm, tools=[ask]), judge=judge).run("Do it")
        async for event in handler.stream_events():
            if isinstance(event, InputRequiredEvent):
                assert event.prefix == "Sure?"
                handler.ctx.send_event(HumanResponseEvent(response="yes"))
        assert str(await handler) == "You said yes"

    run(work())
    assert judge.seen[0][1].messages[1].text == "yes"


def test_runs_at_the_same_time_do_not_mix() -> None:
    class Echo(ScriptedLLM):
        def _reply(self, messages: Sequence[ChatMessage]) -> ChatResponse:
            question = messages[0].content or ""
            text = f"{question}: {'better' if len(messages) > 1 else 'draft'}"
            return ChatResponse(message=ChatMessage(role="assistant", content=text), raw={"usage": USAGE})

    async def judge(task: Task, trajectory: Trajectory) -> tuple[float, str]:
        await asyncio.sleep(0)
        return (0.9, "") if "better" in trajectory.answer else (0.1, f"Mend {task.question}.")

    async def work() -> None:
        agent = CritiqueAgent(agent_of(Echo([])), judge=judge, budget=Budget(calls=4))
        memories = [buffer() for _ in range(8)]
        handlers = [agent.run(f"Q{index}", memory=memory) for index, memory in enumerate(memories)]
        outputs = await asyncio.gather(*handlers)
        for index, (memory, handler, output) in enumerate(zip(memories, handlers, outputs, strict=True)):
            assert str(output) == f"Q{index}: better"
            assert await texts(memory) == [("user", f"Q{index}"), ("assistant", f"Q{index}: better")]
            assert handler.run is not None
            assert (handler.run.usage.calls, handler.run.usage.prompt_tokens) == (4, 20)

    run(work())


@pytest.mark.parametrize("streaming", [True, False])
def test_a_call_that_a_model_passes_on_to_itself_counts_once(streaming: bool) -> None:
    class Completing(MockLLM):
        """Answers chats by completing a prompt, as models without a chat template do."""

        @llm_completion_callback()
        def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
            return CompletionResponse(text="Thought: I know.\nAnswer: Five", raw={"usage": USAGE})

        @llm_completion_callback()
        def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
            return (part for part in [self.complete(prompt, **kwargs)])

    async def work() -> CritiqueHandler[AgentOutput]:
        inner = ReActAgent(llm=Completing(), tools=[add], streaming=streaming)
        handler = CritiqueAgent(inner, judge=ScriptedJudge([1.0]), policy=ONCE).run("2 + 3?")
        assert str(await handler) == "Five"
        return handler

    usage = run(work()).run.usage
    assert usage.calls == 2  # the model's and the judge's


def test_a_model_without_callbacks_counts_as_one_call() -> None:
    class Bare(ScriptedLLM):
        async def astream_chat(self, messages: Any, **kwargs: Any) -> Any:
            async def stream() -> AsyncIterator[Any]:
                yield self._reply(messages)

            return stream()

    async def work() -> CritiqueHandler[AgentOutput]:
        handler = CritiqueAgent(agent_of(Bare(["Five"])), judge=ScriptedJudge([1.0])).run("2 + 3?")
        await handler
        return handler

    usage = run(work()).run.usage
    assert (usage.calls, usage.unmetered_calls, usage.unpriced_calls) == (2, 2, 2)


def test_settings_may_be_ready_and_runs_are_logged(tmp_path: Any) -> None:
    judge = ScriptedJudge([0.7])
    ready = Critique.of(judge, policy=Policy(rounds=0), log=tmp_path / "runs.jsonl")

    async def work() -> None:
        async with CritiqueAgent(agent_of(ScriptedLLM(["Five"])), ready) as agent:
            handler = agent.run("2 + 3?")
            await handler
            assert list(RunLog(tmp_path / "runs.jsonl").read()) == [handler.run]

    run(work())
    with pytest.raises(InvalidInput, match="policy"):
        CritiqueAgent(agent_of(ScriptedLLM([])), ready, policy=Policy())
    with pytest.raises(InvalidInput, match="ScriptedLLM is no LlamaIndex agent"):
        CritiqueAgent(ScriptedLLM([]), judge)  # type: ignore[arg-type]


def test_an_unsupported_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "version", lambda package: "0.13.6")
    versions.require.cache_clear()
    with pytest.raises(versions.UnsupportedVersion, match=r"llama-index-core 0\.13\.6 is installed"):
        importlib.reload(llama_index)
    versions.require.cache_clear()


@pytest.mark.real_model
def test_a_real_model_behind_a_real_server(model_url: str) -> None:  # noqa: F811
    async def work() -> None:
        llm = ServerLLM(url=model_url, key=KEY, model=MODEL)
        inner = FunctionAgent(llm=llm, streaming=False, system_prompt="Answer in one sentence.")
        memory = buffer()
        judge = ScriptedJudge([(0.3, "Name the colour alone."), 0.8])
        handler = CritiqueAgent(inner, judge=judge).run("What colour is the sky?", memory=memory)
        output = await handler
        made = handler.run
        assert made is not None
        assert len(made.attempts) == 2
        assert str(output) == made.attempts[1].answer
        assert await texts(memory) == [("user", "What colour is the sky?"), ("assistant", str(output))]
        assert made.usage.prompt_tokens > 60
        assert made.usage.unmetered_calls == 2  # the judge's; the server told all tokens of the agent's

    run(work())


@pytest.mark.parametrize("streaming", [True, False])
def test_llama_indexs_own_client_over_http(streaming: bool) -> None:
    openai_like = pytest.importorskip("llama_index.llms.openai_like")

    def asks(b: int) -> Reply:
        return Reply("", tool_calls=[ToolCall.make("add", {"a": 2, "b": b}, id=f"c{b}")])

    async def work(server: ChatServer) -> None:
        more = {"stream_options": {"include_usage": True}} if streaming else {}
        kinds = {"is_chat_model": True, "is_function_calling_model": True, "additional_kwargs": more}
        llm = openai_like.OpenAILike(model="m", api_base=server.base_url, api_key="k", **kinds)
        judge, memory = ScriptedJudge([*BETTER, 1.0]), buffer()
        agent = CritiqueAgent(
            FunctionAgent(llm=llm, tools=[add], streaming=streaming), judge, policy=Policy(accept=0.95)
        )
        handler = agent.run("2 + 3?", memory=memory)
        assert str(await handler) == "It is 5"
        assert handler.run is not None
        usage = handler.run.usage
        assert (usage.calls, usage.unmetered_calls) == (6, 2)  # only the judge's calls report nothing
        assert usage.prompt_tokens > 0
        assert [message.text for message in judge.seen[1][1].messages] == ["", "4", "", "5", "It is 5"]
        await agent.run("Sure?", memory=memory)
        await llm._get_aclient().close()  # it does not close itself

    with ChatServer([asks(2), "It is four", asks(3), "It is 5", "Yes"]) as server:
        run(work(server))
    sent = [[(m["role"], m.get("content")) for m in request.body["messages"]] for request in server.requests]
    assert sent[2][:4] == [("user", "2 + 3?"), ("assistant", None), ("tool", "4"), ("assistant", "It is four")]
    assert "Check the sum." in sent[2][4][1]
    assert sent[4] == [
        ("user", "2 + 3?"),
        ("assistant", None),
        ("tool", "5"),
        ("assistant", "It is 5"),
        ("user", "Sure?"),
    ]
