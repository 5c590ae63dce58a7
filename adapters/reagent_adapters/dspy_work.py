"""What a DSPy module was asked and what it did, as the judge reads them.

Steps come from what the module kept itself (`trajectory` of ReAct, CodeAct and RLM, `history` of ReActV2), else from
the trace of its predictors.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic_core import to_json

from reagent_adapters.results import without_nones
from reagent_adapters.versions import require
from reagent_sdk.messages import Message, ToolCall, assistant, user
from reagent_sdk.task import Task
from reagent_sdk.trajectory import Trajectory
from reagent_sdk.usage import Usage

require("dspy", "dspy")

import dspy  # noqa: E402

_NOT_ANSWERS = ("trajectory", "history", "reasoning", "rationale", "final_reasoning", "termination_reason")

Trace = Sequence[tuple[Any, Mapping[str, Any], Any]]


def task_of(inputs: Mapping[str, Any]) -> Task:
    """What a module's inputs ask; a `dspy.History` among them is the conversation before.

    Raises:
        InvalidInput: there are no inputs.
    """
    asked = {name: value for name, value in inputs.items() if not isinstance(value, dspy.History)}
    past = [turn for value in inputs.values() if isinstance(value, dspy.History) for turn in value.messages]
    task = Task.of(fields_text(asked))
    return task.model_copy(update={"history": tuple(user(fields_text(turn)) for turn in past)})


def trajectory_of(
    prediction: Any, trace: Trace = (), *, usage: Usage | None = None, earlier: Iterable[Message] = ()
) -> Trajectory:
    """The work behind a prediction.

    Args:
        prediction: what the module returned.
        trace: the predictor calls behind it: predictor, inputs and prediction of each.
        usage: what it used.
        earlier: messages that the work builds on.
    """
    fields = dict(prediction.items()) if isinstance(prediction, dspy.Example) else {"answer": prediction}
    said = {name: value for name, value in fields.items() if name not in _NOT_ANSWERS}
    answer = fields_text(said)
    thought = next(
        (text(fields[name]) for name in ("reasoning", "rationale", "final_reasoning") if fields.get(name)), ""
    )
    last = Message(**without_nones({"role": "assistant", "content": answer, "reasoning_content": thought or None}))
    steps = [*_steps(fields, trace)]
    return Trajectory(messages=(*earlier, *steps, last), answer=answer, usage=usage or Usage())


def fields_text(fields: Mapping[str, Any]) -> str:
    """Fields as text: the value alone where there is one, else a line or more for each."""
    if len(fields) == 1:
        return text(next(iter(fields.values())))
    return "\n".join(f"{name}: {text(value)}" for name, value in fields.items())


def text(value: Any) -> str:
    """A value as text: a text as it is, anything else as JSON."""
    return value if isinstance(value, str) else to_json(value, fallback=str).decode()


def _steps(fields: Mapping[str, Any], trace: Trace) -> Iterator[Message]:
    trajectory, history = fields.get("trajectory"), fields.get("history")
    if isinstance(trajectory, Mapping):
        yield from _numbered(trajectory)
    elif isinstance(trajectory, list):
        for index, entry in enumerate(trajectory):
            shown = entry if isinstance(entry, Mapping) else {"code": text(entry)}
            code, output = shown.get("code", ""), shown.get("output", "")
            yield from _call(index, "python", {"code": code}, output, thought=shown.get("reasoning", ""))
    elif isinstance(history, dspy.History) and "termination_reason" in fields:
        for event in history.messages:
            yield from _event(event)
    else:
        for index, (_, _, step) in enumerate(trace):
            said = dict(step.items())
            if index < len(trace) - 1 or any(fields.get(name) != value for name, value in said.items()):
                yield from _event(said)  # all but the step that is the answer


def _numbered(steps: Mapping[str, Any]) -> Iterator[Message]:
    """Steps of ReAct (`tool_name_0`, ...) and CodeAct (`generated_code_0`, ...)."""
    indices = sorted({int(name.rpartition("_")[2]) for name in steps if name.rpartition("_")[2].isdigit()})
    for index in indices:
        step = {name.rpartition("_")[0]: value for name, value in steps.items() if name.endswith(f"_{index}")}
        result = step.get("observation", step.get("code_output", ""))
        if "generated_code" in step:
            yield from _call(index, "python", {"code": step["generated_code"]}, result)
        elif "tool_name" in step:
            yield from _call(
                index, text(step["tool_name"]), step.get("tool_args", {}), result, thought=step.get("thought", "")
            )
        else:
            yield assistant(fields_text(step))


def _call(index: int, name: str, arguments: Any, result: Any, *, thought: Any = "") -> Iterator[Message]:
    made = arguments if isinstance(arguments, Mapping) else text(arguments)
    called = ToolCall.make(name, text(made), id=f"call_{index}")
    yield Message(role="assistant", content=text(thought or ""), tool_calls=(called,))
    yield Message(role="tool", content=text(result), tool_call_id=called.id, name=name)


def _event(fields: Mapping[str, Any]) -> Iterator[Message]:
    """One turn of a predictor: its fields, the tools it called and what they gave."""
    calls = [call for value in fields.values() if isinstance(value, dspy.ToolCalls) for call in value.tool_calls]
    results = [one for value in fields.values() for one in _results(value)]
    said = {
        name: value
        for name, value in fields.items()
        if value is not None and not isinstance(value, dspy.ToolCalls) and not _results(value)
    }
    made = [ToolCall.make(call.name, text(call.args), id=text(getattr(call, "id", None) or "")) for call in calls]
    if said or made:
        yield Message(
            **without_nones({"role": "assistant", "content": fields_text(said), "tool_calls": tuple(made) or None})
        )
    for one in results:
        yield Message(role="tool", content=text(one.value), tool_call_id=text(one.call_id or ""), name=text(one.name))


def _results(value: Any) -> list[Any]:
    """The results in a `dspy.ToolCallResults`, which early versions of DSPy do not have."""
    kind = getattr(dspy, "ToolCallResults", None)
    return list(value.tool_call_results) if kind is not None and isinstance(value, kind) else []
