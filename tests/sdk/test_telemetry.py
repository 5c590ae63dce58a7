"""Spans and events of runs, as an OpenTelemetry SDK sees them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from opentelemetry import _logs, trace
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from reagent_sdk import Budget, BudgetExceeded, CritiqueLoop, Policy, Task, ToolCall, VerdictStatus, with_critique
from reagent_sdk.telemetry import CONTENT_VARIABLE, EVENT
from reagent_sdk.testing import ScriptedAgent, ScriptedJudge
from reagent_sdk.testing.server import ChatServer, Reply
from reagent_sdk.tools import tool

SECRET = "the vault is under the stairs"
TASK = Task(question=f"q: {SECRET}")


class Seen(NamedTuple):
    exporter: InMemorySpanExporter
    logs: InMemoryLogRecordExporter

    @property
    def spans(self) -> list[ReadableSpan]:
        return sorted(self.exporter.get_finished_spans(), key=lambda one: one.start_time or 0)

    def named(self, start: str) -> list[ReadableSpan]:
        return [one for one in self.spans if one.name.startswith(start)]

    def texts(self) -> str:
        return "".join(one.to_json() for one in self.spans) + "".join(
            one.to_json() for one in self.logs.get_finished_logs()
        )


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Iterator[Seen]:
    """A tracer provider as an application configures it, for this test alone."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    monkeypatch.delenv(CONTENT_VARIABLE, raising=False)
    yield Seen(exporter, InMemoryLogRecordExporter())
    provider.shutdown()


@pytest.fixture
def logged(seen: Seen, monkeypatch: pytest.MonkeyPatch) -> Iterator[Seen]:
    """A logger provider beside it."""
    provider = LoggerProvider()
    provider.add_log_record_processor(SimpleLogRecordProcessor(seen.logs))
    monkeypatch.setattr(_logs, "get_logger_provider", lambda: provider)
    monkeypatch.setattr(_logs, "get_logger", provider.get_logger)
    yield seen
    provider.shutdown()


def run(answers: list[Any], outcomes: list[Any], **kwargs: Any) -> Any:
    return asyncio.run(CritiqueLoop(TASK, ScriptedAgent(answers), ScriptedJudge(outcomes), **kwargs).run())


def kinds(spans: list[ReadableSpan]) -> list[Any]:
    return [(one.attributes or {})["openinference.span.kind"] for one in spans]


def parents(seen: Seen) -> dict[str, set[str]]:
    names = {one.context.span_id: one.name for one in seen.spans if one.context}
    told: dict[str, set[str]] = {}
    for one in seen.spans:
        told.setdefault(one.name, set()).add(names[one.parent.span_id] if one.parent else "")
    return told


def test_a_run_is_a_tree_of_attempts_and_evaluations(seen: Seen) -> None:
    made = run(["a", "b"], [0.2, (0.9, "fine")])
    assert kinds(seen.spans) == ["CHAIN", "AGENT", "EVALUATOR", "AGENT", "EVALUATOR"]
    assert parents(seen) == {
        "critique_run": {""},
        "invoke_agent": {"critique_run"},
        "evaluate scripted": {"critique_run"},
    }
    root = dict(seen.spans[0].attributes or {})
    assert root["reagent.run.id"] == made.id
    assert (root["reagent.run.status"], root["reagent.run.stop"]) == ("answered", "rounds")
    assert (root["reagent.run.chosen"], root["reagent.run.score"], root["reagent.run.attempts"]) == (1, 0.9, 2)
    assert [(one.attributes or {})["gen_ai.evaluation.score.value"] for one in seen.named("evaluate")] == [0.2, 0.9]


def test_each_verdict_is_an_event_on_its_span_when_nobody_takes_logs(seen: Seen) -> None:
    run(["a", "b"], [0.2, VerdictStatus.UNPARSEABLE])
    first, second = (one.events[0] for one in seen.named("evaluate"))
    assert first.name == second.name == EVENT
    assert dict(first.attributes or {}) == {
        "gen_ai.evaluation.name": "scripted",
        "gen_ai.evaluation.score.label": "scored",
        "gen_ai.evaluation.score.value": 0.2,
    }
    assert dict(second.attributes or {}) == {
        "gen_ai.evaluation.name": "scripted",
        "gen_ai.evaluation.score.label": "unparseable",
        "error.type": "unparseable",
    }
    assert [one.status.is_ok for one in seen.named("evaluate")] == [True, False]


def test_each_verdict_is_a_log_event_of_the_attempt_that_it_judges(logged: Seen) -> None:
    run(["a", "b"], [0.2, 0.9])
    events = [one.log_record for one in logged.logs.get_finished_logs()]
    assert [one.event_name for one in events] == [EVENT, EVENT]
    attempts = [one.context.span_id for one in logged.named("invoke_agent") if one.context]
    assert [one.span_id for one in events] == attempts
    assert [dict(one.attributes or {})["gen_ai.evaluation.score.value"] for one in events] == [0.2, 0.9]
    assert all(not one.events for one in logged.named("evaluate"))


@pytest.mark.parametrize("wanted", [False, True])
def test_texts_leave_only_when_they_are_asked_for(logged: Seen, monkeypatch: pytest.MonkeyPatch, wanted: bool) -> None:
    monkeypatch.setenv(CONTENT_VARIABLE, "true" if wanted else "false")
    judge = ScriptedJudge([(0.2, f"critique: {SECRET}")])
    with pytest.raises(RuntimeError):
        asyncio.run(CritiqueLoop(TASK, ScriptedAgent([RuntimeError(SECRET)]), judge).run())
    asyncio.run(CritiqueLoop(TASK, ScriptedAgent([f"answer: {SECRET}"]), judge).run())
    told = logged.texts()
    assert (SECRET in told) is wanted
    if wanted:
        root = dict(logged.named("critique_run")[1].attributes or {})
        assert (root["input.value"], root["output.value"]) == (TASK.question, f"answer: {SECRET}")
        events = [one.log_record for one in logged.logs.get_finished_logs()]
        assert dict(events[0].attributes or {})["gen_ai.evaluation.explanation"] == f"critique: {SECRET}"


def test_model_calls_and_tool_calls_hang_below_whoever_made_them(seen: Seen) -> None:
    @tool
    def double(number: int) -> int:
        """Twice the number."""
        return 2 * number

    asks = Reply(tool_calls=[ToolCall.make("double", {"number": 4}, id="c1")], usage=(12, 3))
    verdict = "<analysis>fine</analysis><critique>good</critique><score>0.9</score>"
    with (
        ChatServer([asks, "8"]) as model,
        ChatServer([verdict]) as judge,
        with_critique(model.base_url, tools=[double], judge=judge.base_url, policy=Policy(rounds=0)) as agent,
    ):
        assert agent("What is twice 4?") == "8"
    tree = parents(seen)
    chat = {one for one in tree if one.startswith("chat ")}
    assert {parent for one in chat for parent in tree[one]} == {"invoke_agent", *(n for n in tree if n[:4] == "eval")}
    assert tree["execute_tool double"] == {"invoke_agent"}
    told = dict(seen.named("chat")[0].attributes or {})
    assert (told["gen_ai.usage.input_tokens"], told["llm.token_count.total"]) == (12, 15)
    assert kinds(seen.named("execute_tool")) == ["TOOL"]


def test_a_failure_is_noted_by_its_kind_and_a_run_without_an_answer_as_failed(seen: Seen) -> None:
    with pytest.raises(RuntimeError):
        run([RuntimeError(SECRET)], [0.5])
    root, attempt = seen.spans
    assert (root.attributes or {})["error.type"] == "agent_failed"
    assert (attempt.attributes or {})["error.type"] == "RuntimeError"
    assert not root.status.is_ok


def test_runs_side_by_side_keep_their_own_trees(seen: Seen) -> None:
    async def both() -> None:
        loops = [CritiqueLoop(TASK, ScriptedAgent(["a", "b"]), ScriptedJudge([0.1, 0.2])) for _ in range(8)]
        await asyncio.gather(*(loop.run() for loop in loops))

    asyncio.run(both())
    traces: dict[int, list[str]] = {}
    for one in seen.spans:
        assert one.context is not None
        traces.setdefault(one.context.trace_id, []).append(one.name)
    assert [sorted(names) for names in traces.values()] == [
        ["critique_run", "evaluate scripted", "evaluate scripted", "invoke_agent", "invoke_agent"]
    ] * 8


def test_leaving_the_attempts_early_still_ends_the_span(seen: Seen) -> None:
    async def first() -> None:
        attempts = CritiqueLoop(TASK, ScriptedAgent(["a"]), ScriptedJudge([0.1])).attempts()
        async for _ in attempts:
            break
        await attempts.aclose()

    asyncio.run(first())
    assert [(one.attributes or {})["reagent.run.stop"] for one in seen.named("critique_run")] == ["stopped"]


def test_without_a_provider_nothing_is_imported_and_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_PYTHON_TRACER_PROVIDER", raising=False)
    code = (
        "import sys, asyncio\n"
        "from reagent_sdk import CritiqueLoop, Task\n"
        "from reagent_sdk.testing import ScriptedAgent, ScriptedJudge\n"
        "asyncio.run(CritiqueLoop(Task(question='q'), ScriptedAgent(['a']), ScriptedJudge([0.5])).run())\n"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')]\n"
        "from opentelemetry import trace\n"
        "run = asyncio.run(CritiqueLoop(Task(question='q'), ScriptedAgent(['a']), ScriptedJudge([0.5])).run())\n"
        "assert isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)\n"
        "print(run.answer)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "a", "")


def test_the_budget_s_end_is_told(seen: Seen) -> None:
    with pytest.raises(BudgetExceeded):
        run([BudgetExceeded("calls", "none left")], [0.5], budget=Budget(calls=1))
    assert (seen.spans[0].attributes or {})["error.type"] == "budget"
