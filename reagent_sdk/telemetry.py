"""OpenTelemetry: spans of runs, attempts, verdicts, model calls and tool calls, and an event for each verdict.

Off unless the process has configured a tracer provider: without one a look-up is all that is done, and OpenTelemetry is
never imported from here. Span kinds are OpenInference's (CHAIN, AGENT, EVALUATOR, LLM, TOOL), names and attributes
those of OpenTelemetry's GenAI conventions. Texts stay out unless the environment variable of `CONTENT_VARIABLE` asks
for them; the judge's analysis stays out even so.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, Tracer

    from reagent_sdk.run import Run
    from reagent_sdk.task import Task
    from reagent_sdk.trajectory import Trajectory
    from reagent_sdk.usage import Usage
    from reagent_sdk.verdict import Verdict

CONTENT_VARIABLE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
EVENT = "gen_ai.evaluation.result"
_SCOPE = "reagent_sdk"
_evaluated: ContextVar[Context | None] = ContextVar("reagent_evaluated", default=None)


class Told:
    """A span to be told what happened; tells nobody when telemetry is off."""

    def __init__(self, span: Span | None = None) -> None:
        self._span = span

    def attributes(self, **attributes: Any) -> None:
        """Sets attributes, a double underscore for each dot in their names; those that are None are left out."""
        if self._span is not None:
            named = {name.replace("__", "."): value for name, value in attributes.items() if value is not None}
            self._span.set_attributes(named)

    def content(self, **contents: str) -> None:
        """Sets attributes that hold texts, if texts are wanted."""
        if _wants_content():
            self.attributes(**contents)

    def usage(self, usage: Usage) -> None:
        """Sets token counts, where they are known."""
        if usage.calls > usage.unmetered_calls:
            self.attributes(
                gen_ai__usage__input_tokens=usage.prompt_tokens,
                gen_ai__usage__output_tokens=usage.completion_tokens,
                llm__token_count__prompt=usage.prompt_tokens,
                llm__token_count__completion=usage.completion_tokens,
                llm__token_count__total=usage.known_tokens,
            )

    def run(self, run: Run) -> None:
        """Sets what became of a run."""
        self.attributes(
            reagent__run__id=run.id,
            reagent__run__status=run.status.value,
            reagent__run__stop=run.stop.value,
            reagent__run__attempts=len(run.attempts),
            reagent__run__chosen=run.chosen,
            reagent__run__score=run.score,
        )
        self.usage(run.usage)
        if run.chosen is None:
            self.failed(run.stop.value)

    def verdict(self, verdict: Verdict) -> None:
        """Sets what a verdict says, apart from its texts."""
        self.attributes(
            gen_ai__evaluation__score__value=verdict.score,
            gen_ai__evaluation__score__label=verdict.status.value,
            reagent__verdict__prompt_version=verdict.prompt_version or None,
        )
        self.usage(verdict.usage)
        if not verdict.scored:
            self.failed(verdict.status.value)

    def failed(self, kind: str) -> None:
        """Marks what the span stands for as failed, without an exception."""
        if self._span is not None:
            self._span.set_status(sys.modules["opentelemetry.trace"].StatusCode.ERROR, kind)
            self._span.set_attribute("error.type", kind)


@contextmanager
def span(name: str, kind: str, attributes: Mapping[str, Any] | None = None) -> Iterator[Told]:
    """A span around a block, the current one inside it. An exception that leaves the block is noted by its type only.

    Args:
        name: such as `chat MODEL`.
        kind: of OpenInference: CHAIN, AGENT, EVALUATOR, LLM or TOOL.
        attributes: further ones.
    """
    tracer = _tracer()
    if tracer is None:
        yield Told()
        return
    given = {"openinference.span.kind": kind, **(attributes or {})}
    with tracer.start_as_current_span(
        name, attributes=given, record_exception=False, set_status_on_exception=False
    ) as one:
        told = Told(one)
        try:
            yield told
        except BaseException as error:
            told.failed(type(error).__name__)  # its message may hold texts
            raise


class RunSpan:
    """The span of one run. Its parts may be entered one after the other, from whichever task drives the run."""

    def __init__(self, task: Task, judge: str) -> None:
        tracer = _tracer()
        self._span: Span | None = None
        self._evaluated: Context | None = None
        if tracer is not None:
            self._span = tracer.start_span("critique_run", attributes={"openinference.span.kind": "CHAIN"})
            told = Told(self._span)
            told.attributes(gen_ai__operation__name="invoke_workflow", reagent__judge=judge)
            told.content(input__value=task.question)

    @contextmanager
    def attempt(self, index: int, revises: bool) -> Iterator[Told]:
        """A span around one attempt of the agent."""
        if self._span is None:
            yield Told()
            return
        trace = sys.modules["opentelemetry.trace"]
        with trace.use_span(self._span, record_exception=False, set_status_on_exception=False):
            about = {
                "gen_ai.operation.name": "invoke_agent",
                "reagent.attempt.index": index,
                "reagent.attempt.revises": revises,
            }
            with span("invoke_agent", "AGENT", about) as told:
                self._evaluated = trace.set_span_in_context(trace.get_current_span())
                yield told

    @contextmanager
    def judging(self) -> Iterator[None]:
        """Around the judge's call: verdicts heard in it are about the attempt before it."""
        if self._span is None:
            yield
            return
        token = _evaluated.set(self._evaluated)
        try:
            with sys.modules["opentelemetry.trace"].use_span(
                self._span, record_exception=False, set_status_on_exception=False
            ):
                yield
        finally:
            _evaluated.reset(token)

    def end(self, run: Run) -> None:
        """Ends the span with the outcome of the run. Idempotent."""
        if self._span is None:
            return
        told = Told(self._span)
        told.run(run)
        told.content(output__value=run.answer or "")
        self._span.end()
        self._span = None


@contextmanager
def evaluation(judge: str, task: Task, trajectory: Trajectory) -> Iterator[list[Verdict]]:
    """A span around a judge's work. The block appends the verdict to the list that it is given."""
    verdicts: list[Verdict] = []
    with span(f"evaluate {judge}", "EVALUATOR", {"gen_ai.evaluation.name": judge}) as told:
        told.content(input__value=f"{task.question}\n\n{trajectory.answer}")
        yield verdicts
        for verdict in verdicts:
            told.verdict(verdict)
            told.content(output__value=verdict.critique)
            _report(verdict)


def event_of(verdict: Verdict, *, content: bool) -> dict[str, Any]:
    """The attributes of a verdict's event; with its critique if texts are wanted."""
    about: dict[str, Any] = {
        "gen_ai.evaluation.name": verdict.judge,
        "gen_ai.evaluation.score.label": verdict.status.value,
    }
    if verdict.score is not None:
        about["gen_ai.evaluation.score.value"] = verdict.score
    else:
        about["error.type"] = verdict.status.value
    if content:
        about["gen_ai.evaluation.explanation"] = verdict.critique
    return about


def _report(verdict: Verdict) -> None:
    """The event of a verdict: a log event of the work that was judged, or a span event where no logger is set up."""
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None or not trace.get_current_span().is_recording():
        return
    about = event_of(verdict, content=_wants_content())
    logs = sys.modules.get("opentelemetry._logs")
    if logs is None or type(logs.get_logger_provider()).__name__ in ("ProxyLoggerProvider", "NoOpLoggerProvider"):
        trace.get_current_span().add_event(EVENT, about)
        return
    record = logs.LogRecord(event_name=EVENT, attributes=about, context=_evaluated.get())
    logs.get_logger(_SCOPE).emit(record)


def _tracer() -> Tracer | None:
    """The tracer of whoever configured one; a process that did not import OpenTelemetry has none."""
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return None
    provider = trace.get_tracer_provider()
    if isinstance(provider, trace.ProxyTracerProvider | trace.NoOpTracerProvider):
        return None
    tracer: Tracer = provider.get_tracer(_SCOPE)
    return tracer


def _wants_content() -> bool:
    return os.environ.get(CONTENT_VARIABLE, "").strip().lower() in ("true", "1", "span_only", "span_and_event")
