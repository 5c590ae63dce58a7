"""Whole runs for viewers: ATIF documents against a schema of our own, traces against the spans of the live run."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from atif_schema import Document
from google.protobuf.json_format import ParseDict
from hypothesis import given, settings
from hypothesis import strategies as st
from openinference.semconv import trace as semconv
from opentelemetry import trace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from run_logs import QUESTION, scripted, weighing
from typer.testing import CliRunner

from reagent_sdk import Attempt, InvalidInput, Run, StopReason, Task, Trajectory, Verdict, VerdictStatus
from reagent_sdk.cli import app
from reagent_sdk.exports import ExportSettings, Format, LeftOut, converter
from reagent_sdk.exports.otel import as_protobuf
from reagent_sdk.messages import from_openai
from reagent_sdk.run import RunStatus
from reagent_sdk.telemetry import CONTENT_VARIABLE, EVENT

from .strategies import chat_messages, failures, scores


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "runs.jsonl"


def row(run: Run, format: Format, **more: Any) -> dict[str, Any]:
    made, _ = converter(ExportSettings(format=format, **more))(run)
    line: dict[str, Any] = json.loads(json.dumps(made, allow_nan=False))
    return line


@st.composite
def runs(draw: st.DrawFn) -> Run:
    """Runs of any messages and verdicts; revisions may begin with what the attempt before them found."""
    attempts: list[Attempt] = []
    for index in range(draw(st.integers(0, 2))):
        work = from_openai(draw(st.lists(chat_messages(), max_size=4)))
        if index and draw(st.booleans()):
            before = attempts[-1].trajectory.messages
            work = (*(one for one in before if one.role == "tool" or one.tool_calls), *work)
        score = draw(scores | st.none())
        verdict = Verdict.failed(draw(failures), "why") if score is None else Verdict.of(score, draw(st.text()))
        attempts.append(
            Attempt(
                index=index,
                trajectory=Trajectory(messages=work, answer=draw(st.text(max_size=5))),
                verdict=draw(st.sampled_from([verdict, None])),
                feedback="again" if index else None,
            )
        )
    chosen = len(attempts) - 1 if attempts else None
    task = Task(question="q", history=from_openai(draw(st.lists(chat_messages(), max_size=2))))
    status = RunStatus.ANSWERED if attempts else RunStatus.FAILED
    return Run(task=task, attempts=tuple(attempts), chosen=chosen, stop=StopReason.ROUNDS, status=status)


def test_an_atif_document_is_the_run_as_it_went(log: Path) -> None:
    run = weighing(log, history=from_openai([{"role": "system", "content": "Be brief."}]))
    document = Document.model_validate(row(run, Format.ATIF))
    assert [step.source for step in document.steps] == [
        *("system", "user", "agent", "agent"),
        *("user", "agent", "agent", "agent"),
    ]
    asked, calls, draft, critique, copied, again, answer = document.steps[1:]
    assert (asked.message, asked.timestamp) == (QUESTION, run.started_at.isoformat().replace("+00:00", "Z"))
    assert calls.reasoning_content == "I weigh both."
    assert [call.arguments for call in calls.tool_calls or ()] == [{"item": "crate"}, {"item": "box"}]
    assert calls.observation
    assert [(one.source_call_id, one.content) for one in calls.observation.results] == [
        ("c1", "crate: 7 kg"),
        ("c2", "box: 7 kg"),
    ]
    assert (draft.message, critique.message, answer.message) == ("14 kg", "You forgot a crate.", "21 kg")
    assert [step.is_copied_context for step in (calls, copied, again)] == [None, True, None]
    assert [call.tool_call_id for call in again.tool_calls or ()] == ["c1-3"]
    told = (answer.extra or {})["reagent"]
    assert (told["attempt"], told["chosen"], told["verdict"]["score"]) == (1, True, 0.9)
    totals = document.final_metrics
    assert totals
    assert (totals.total_prompt_tokens, totals.total_completion_tokens, totals.total_cost_usd) == (40, 8, 1.0)
    assert (document.extra or {})["reagent"]["status"] == "accepted"


def test_unknown_costs_and_tokens_are_left_out_of_an_atif_document(log: Path) -> None:
    totals = row(scripted(log, ["a"], [0.5]), Format.ATIF)["final_metrics"]
    assert {"total_steps"} == set(totals) - {"extra"}


@settings(max_examples=60)
@given(runs())
def test_any_run_is_a_valid_atif_document(run: Run) -> None:
    try:
        made = row(run, Format.ATIF)
    except LeftOut:
        assert not run.attempts
        return
    document = Document.model_validate(made)
    n_results = sum(len(step.observation.results) for step in document.steps if step.observation)
    messages = [*run.task.messages, *(one for tried in run.attempts for one in tried.trajectory.messages)]
    assert n_results == sum(message.role == "tool" for message in messages)
    n_calls = sum(len(step.tool_calls or ()) for step in document.steps)
    assert n_calls == sum(len(message.tool_calls or ()) for message in messages)


@pytest.fixture
def live(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """What an application that has set up OpenTelemetry sees of a run."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    monkeypatch.setenv(CONTENT_VARIABLE, "true")
    yield exporter
    provider.shutdown()


def spans_of(line: dict[str, Any]) -> list[Any]:
    """The spans of an exported line, through protobuf's own reader, which takes ids in base64."""
    for resource in line["resourceSpans"]:
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                for name in ("traceId", "spanId", "parentSpanId"):
                    if name in span:
                        span[name] = base64.b64encode(bytes.fromhex(span[name])).decode()
    request = ParseDict(line, ExportTraceServiceRequest())
    return [span for resource in request.resource_spans for scope in resource.scope_spans for span in scope.spans]


def attributes(span: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes}


def told_live(span: ReadableSpan) -> dict[str, Any]:
    """Attributes of a live span that the log can know: the model's name stands in no log."""
    model = ("gen_ai.request.model", "llm.model_name")
    counted = ("gen_ai.usage", "llm.token_count") if span.name.startswith("chat") else ()
    return {k: v for k, v in (span.attributes or {}).items() if k not in model and not k.startswith(counted or "\0")}


def test_an_exported_trace_tells_what_the_live_one_told(log: Path, live: InMemorySpanExporter) -> None:
    run = weighing(log)
    theirs = {one.context.span_id: one for one in live.get_finished_spans() if one.context}
    ours = {one.span_id: one for one in spans_of(row(run, Format.OTEL))}
    parent_live = {
        (one.name.split()[0], theirs[one.parent.span_id].name if one.parent else "") for one in theirs.values()
    }
    parent_ours = {
        (one.name.split()[0], ours[one.parent_span_id].name if one.parent_span_id else "") for one in ours.values()
    }
    assert parent_ours == parent_live
    for name in ("critique_run", "invoke_agent", "chat", "execute_tool", "evaluate"):
        before = [told_live(one) for one in sorted(theirs.values(), key=_started) if one.name.startswith(name)]
        after = [attributes(one) for one in ours.values() if one.name.startswith(name)]
        assert len(before) == len(after), name
        for told, exported in zip(before, after, strict=True):
            assert {key: exported.get(key) for key in told} == told, name
    events = [(e.name, e.attributes) for one in sorted(theirs.values(), key=_started) for e in one.events]
    written = [(event.name, attributes(event)) for one in ours.values() for event in one.events]
    assert written == [(name, dict(told or {})) for name, told in events]
    assert {name for name, _ in written} == {EVENT}


def _started(span: ReadableSpan) -> int:
    return span.start_time or 0


def test_a_trace_has_the_same_ids_each_time_and_its_spans_lie_within_one_another(log: Path) -> None:
    run = weighing(log)
    first, second = row(run, Format.OTEL), row(run, Format.OTEL)
    assert first == second
    spans = spans_of(first)
    by_id = {one.span_id: one for one in spans}
    assert (len(by_id), len({one.trace_id for one in spans})) == (len(spans), 1)
    root = spans[0]
    assert root.start_time_unix_nano == int(run.started_at.timestamp()) * 10**9 + run.started_at.microsecond * 1000
    for one in spans[1:]:
        around = by_id[one.parent_span_id]
        assert around.start_time_unix_nano <= one.start_time_unix_nano
        assert one.start_time_unix_nano <= one.end_time_unix_nano <= around.end_time_unix_nano
        assert attributes(one)["reagent.times"] == "estimated"
    other = spans_of(row(weighing(log), Format.OTEL))
    assert not {one.span_id for one in other} & set(by_id)


def test_a_line_can_be_sent_to_servers_that_take_protobuf_only(log: Path) -> None:
    line = json.dumps(row(weighing(log), Format.OTEL))
    assert list(ExportTraceServiceRequest.FromString(as_protobuf(line)).resource_spans[0].scope_spans[0].spans) == (
        spans_of(json.loads(line))
    )
    for wrong in ("", "{}", "[]", '{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "xyz"}]}]}]}'):
        with pytest.raises(InvalidInput, match="not a line of"):
            as_protobuf(wrong)


def test_a_failed_verdict_is_an_error_and_texts_can_stay_out(log: Path) -> None:
    secret = "the vault is under the stairs"
    work = [{"role": "assistant", "content": secret, "tool_calls": [{"id": secret[:3], "function": {"name": "f"}}]}]
    run = scripted(log, [[*work, {"role": "assistant", "content": secret}]], [VerdictStatus.TRUNCATED], question=secret)
    (judged,) = [one for one in spans_of(row(run, Format.OTEL)) if one.name.startswith("evaluate")]
    assert (judged.status.code, judged.status.message) == (2, "truncated")
    assert "gen_ai.evaluation.score.value" not in attributes(judged)
    assert secret in json.dumps(row(run, Format.OTEL))
    assert secret not in json.dumps(row(run, Format.OTEL, texts=False))


def test_the_messages_of_models_have_openinferences_names(log: Path) -> None:
    said = f"{semconv.SpanAttributes.LLM_OUTPUT_MESSAGES}.0"
    called = f"{said}.{semconv.MessageAttributes.MESSAGE_TOOL_CALLS}.1"
    chat = attributes(next(one for one in spans_of(row(weighing(log), Format.OTEL)) if one.name == "chat"))
    assert chat[f"{said}.{semconv.MessageAttributes.MESSAGE_ROLE}"] == "assistant"
    assert chat[f"{said}.{semconv.MessageAttributes.MESSAGE_CONTENT}"] == ""
    assert chat[f"{called}.{semconv.ToolCallAttributes.TOOL_CALL_ID}"] == "c2"
    assert chat[f"{called}.{semconv.ToolCallAttributes.TOOL_CALL_FUNCTION_NAME}"] == "weigh"
    assert chat[f"{called}.{semconv.ToolCallAttributes.TOOL_CALL_FUNCTION_ARGUMENTS_JSON}"] == '{"item": "box"}'
    assert chat[semconv.SpanAttributes.OUTPUT_VALUE] == ""


@settings(max_examples=40)
@given(runs(), st.booleans())
def test_any_run_is_a_trace(run: Run, texts: bool) -> None:
    spans = spans_of(row(run, Format.OTEL, texts=texts))
    assert len({one.span_id for one in spans}) == len(spans)
    assert [one.name for one in spans if not one.parent_span_id] == ["critique_run"]


def test_without_opentelemetry_the_extra_is_named(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(log, ["a"], [0.5])
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.common.trace_encoder", None)
    done = CliRunner().invoke(app, ["runs", "export", "--format", "otel", "--log", str(log)])
    assert done.exit_code == 3
    assert "pip install 'reagent-sdk[otel]'" in done.stderr
