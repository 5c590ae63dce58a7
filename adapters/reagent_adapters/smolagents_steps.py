"""Steps of smolagents as chat messages."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from smolagents.memory import ActionStep, PlanningStep, TaskStep
from smolagents.utils import AgentMaxStepsError

from reagent_adapters.results import answer_text
from reagent_sdk.messages import Message, ToolCall, assistant, user

Results = Mapping[int, Mapping[str, str]]
"""What each tool call of a step returned, by the step's `id()` and the call's own id."""

_OPENED = re.compile(r"(?:<code>|```(?:python|py)?)\s*$")


def messages_of(steps: Iterable[Any], results: Results | None = None, *, with_answers: bool = False) -> list[Message]:
    """Chat messages, in order; a code action is a call of `python_interpreter`.

    Args:
        steps: of an agent's memory.
        results: of its tool calls one by one; without it a step's calls share its observations.
        with_answers: whether final answers come as messages of their own.
    """
    said: list[Message] = []
    for step in steps:
        if isinstance(step, TaskStep):
            said.append(user(step.task))
        elif isinstance(step, PlanningStep):
            said.append(assistant(step.plan))
        elif isinstance(step, ActionStep):
            said += _action(step, (results or {}).get(id(step), {}))
            if with_answers and is_answer(step):
                said.append(assistant(_answer(step)))
    return said


def is_answer(step: Any) -> bool:
    """Whether a step gave the final answer, of itself or at the step limit."""
    return isinstance(step, ActionStep) and (step.is_final_answer or isinstance(step.error, AgentMaxStepsError))


def said_text(output: object) -> str:
    """The text of an output: a list of content parts is its text, anything else is read as an answer.

    Raises:
        AgentError: there is none.
    """
    if isinstance(output, list) and output and all(isinstance(part, Mapping) and "text" in part for part in output):
        return answer_text("\n".join(str(part["text"]) for part in output))
    return answer_text(output)


def _action(step: Any, results: Mapping[str, str]) -> list[Message]:
    calls = _calls(step)
    fields: dict[str, Any] = {"content": _thought(step)}
    if calls:
        fields["tool_calls"] = tuple(calls)
    said = [Message(role="assistant", **fields)] if calls or fields["content"] else []
    shared = {calls[0].id: step.observations} if calls and step.observations is not None else {}
    told = dict(results) or shared
    said += [_result(told[call.id], call.id) for call in calls if call.id in told]
    if step.error is not None and not isinstance(step.error, AgentMaxStepsError):
        open_call = next((call.id for call in calls if call.id not in told), calls[0].id if calls else None)
        said.append(_result(f"Error: {step.error}", open_call))
    return said


def _calls(step: Any) -> list[ToolCall]:
    """The calls in the model's order; a step whose tool failed keeps them in the model's message alone."""
    if step.code_action is not None:
        made = step.tool_calls or ()
        return [ToolCall.make("python_interpreter", {"code": step.code_action}, id=call.id) for call in made]
    asked = getattr(step.model_output_message, "tool_calls", None) or ()
    calls = [(call.function.name, call.function.arguments, call.id) for call in asked]
    calls = calls or [(call.name, call.arguments, call.id) for call in step.tool_calls or ()]
    return [_call(*call) for call in calls if call[0] != "final_answer"]


def _call(name: str, arguments: Any, id: str) -> ToolCall:
    return ToolCall.make(name, arguments if isinstance(arguments, str | Mapping) else str(arguments), id=id)


def _thought(step: Any) -> str:
    """What the model said, without the code that stands in the call."""
    message = step.model_output_message
    output = step.model_output if message is None else message.content
    text = "\n".join(str(part.get("text", "")) for part in output) if isinstance(output, list) else str(output or "")
    code = (step.code_action or "").strip()
    if code and code in text:
        text = _OPENED.sub("", text.partition(code)[0])
    return text.strip()


def _answer(step: Any) -> str:
    if step.action_output is not None:
        return said_text(step.action_output)
    made = [call.arguments for call in step.tool_calls or () if call.name == "final_answer"]
    given = made[0].get("answer") if made and isinstance(made[0], Mapping) else None
    return said_text(given if given is not None else step.observations or "(no answer)")


def _result(text: str, call_id: str | None) -> Message:
    if call_id is None:
        return Message(role="tool", content=text)
    return Message(role="tool", content=text, tool_call_id=call_id)
