"""The spans of a run: attempts with their model and tool calls, and verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from reagent_sdk import telemetry
from reagent_sdk.exports.attempts import parts
from reagent_sdk.exports.otel_span import PastSpan
from reagent_sdk.messages import Message, ToolCall
from reagent_sdk.run import Attempt, Run
from reagent_sdk.verdict import Verdict

_NANO = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def tree_of(run: Run, *, texts: bool) -> list[PastSpan]:
    """The spans of a run, the root first, with their times.

    Args:
        run: any run.
        texts: whether they hold texts.
    """
    root = PastSpan(run.id, "run", "critique_run", "CHAIN")
    root.told.attributes(gen_ai__operation__name="invoke_workflow", reagent__judge=run.judge)
    root.told.run(run)
    _texts(root, texts, run.task.question, run.answer or "")
    stages: list[tuple[PastSpan, list[PastSpan], float]] = []
    for attempt in run.attempts:
        span, inner = _attempt(run, attempt, root, texts)
        stages.append((span, inner, attempt.trajectory.usage.seconds))
        if attempt.verdict is not None:
            judged = _evaluation(run, attempt, attempt.verdict, root, texts)
            stages.append((judged, [], attempt.verdict.usage.seconds))
    _lay_out(run, root, stages)
    return [root, *(one for span, inner, _ in stages for one in (span, *inner))]


def _attempt(run: Run, attempt: Attempt, root: PastSpan, texts: bool) -> tuple[PastSpan, list[PastSpan]]:
    span = PastSpan(run.id, f"run/attempt-{attempt.index}", "invoke_agent", "AGENT", root)
    span.told.attributes(
        gen_ai__operation__name="invoke_agent",
        reagent__attempt__index=attempt.index,
        reagent__attempt__revises=attempt.feedback is not None,
    )
    span.told.usage(attempt.trajectory.usage)
    _texts(span, texts, run.task.question, attempt.answer)
    own = parts(run, attempt).own
    inner: list[PastSpan] = []
    for place, message in enumerate(own):
        if message.role != "assistant":
            continue
        inner.append(_chat(span, place, message, texts))
        results = list(own[place + 1 :])
        for index, call in enumerate(message.tool_calls or ()):
            inner.append(_tool(span, f"tool-{place}-{index}", call, results, texts))
    return span, inner


def _chat(parent: PastSpan, place: int, message: Message, texts: bool) -> PastSpan:
    span = PastSpan(parent.run_id, f"{parent.path}/chat-{place}", "chat", "LLM", parent)
    span.told.attributes(gen_ai__operation__name="chat")
    if texts:
        about: dict[str, Any] = {"output.value": message.text}
        said = "llm.output_messages.0.message"
        about |= {f"{said}.role": "assistant", f"{said}.content": message.text}
        for index, call in enumerate(message.tool_calls or ()):
            called = f"{said}.tool_calls.{index}.tool_call"
            about[f"{called}.function.name"] = call.name
            about[f"{called}.function.arguments"] = call.arguments_text
            if call.id:
                about[f"{called}.id"] = call.id
        span.set_attributes(about)
    return span


def _tool(parent: PastSpan, path: str, call: ToolCall, results: list[Message], texts: bool) -> PastSpan:
    span = PastSpan(parent.run_id, f"{parent.path}/{path}", f"execute_tool {call.name}", "TOOL", parent)
    span.told.attributes(
        gen_ai__operation__name="execute_tool", gen_ai__tool__name=call.name, gen_ai__tool__call__id=call.id
    )
    result = _result_of(call, results)
    _texts(span, texts, call.arguments_text, result.text if result is not None else "")
    return span


def _result_of(call: ToolCall, results: list[Message]) -> Message | None:
    """The result of a call, taken off the messages after it. It stands before the agent's next reply."""
    for message in results:
        if message.role == "assistant":
            return None
        if message.role == "tool" and (message.tool_call_id or "") == call.id:
            results.remove(message)
            return message
    return None


def _evaluation(run: Run, attempt: Attempt, verdict: Verdict, root: PastSpan, texts: bool) -> PastSpan:
    path, judge = f"run/verdict-{attempt.index}", verdict.judge or run.judge
    span = PastSpan(run.id, path, f"evaluate {judge}".strip(), "EVALUATOR", root)
    span.told.attributes(gen_ai__evaluation__name=judge)
    span.told.verdict(verdict)
    span.event(telemetry.EVENT, telemetry.event_of(verdict, content=texts))
    _texts(span, texts, f"{run.task.question}\n\n{attempt.answer}", verdict.critique)
    return span


def _texts(span: PastSpan, wanted: bool, given: str, said: str) -> None:
    if wanted:
        span.set_attributes({"input.value": given, "output.value": said})


def _lay_out(run: Run, root: PastSpan, stages: Sequence[tuple[PastSpan, list[PastSpan], float]]) -> None:
    """Gives the stages of a run their places in its time, one after the other, and their calls equal shares of them."""
    begin = (run.started_at - _EPOCH) // timedelta(microseconds=1) * 1_000
    whole = int(run.seconds * _NANO)
    root.times = (begin, begin + whole)
    told = sum(seconds for _, _, seconds in stages)
    at = begin
    for span, inner, seconds in stages:
        share = seconds / max(told, run.seconds) if told else 1 / len(stages)
        end = min(at + int(share * whole), root.times[1])
        span.times = (at, end)
        for index, one in enumerate(inner):
            one.times = (at + (end - at) * index // len(inner), at + (end - at) * (index + 1) // len(inner))
        for one in (span, *inner):
            one.set_attribute("reagent.times", "estimated")
        at = end
