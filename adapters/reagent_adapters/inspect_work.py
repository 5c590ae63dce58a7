"""What a sample of inspect_ai asks, and the work that a solver did on it, as the judge reads them."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_uppercase
from typing import Any

from reagent_adapters.results import without_nones
from reagent_adapters.versions import require
from reagent_sdk.messages import Message, ToolCall, user
from reagent_sdk.prompts import revision_request
from reagent_sdk.task import Task
from reagent_sdk.trajectory import AgentStop, Trajectory
from reagent_sdk.usage import Usage

require("inspect-ai", "inspect")

from inspect_ai.model import ChatMessage, ChatMessageAssistant, ChatMessageTool, ChatMessageUser  # noqa: E402
from inspect_ai.solver import TaskState  # noqa: E402

_FEEDBACK = "reagent_feedback"
_CUT_OFF = ("max_tokens", "model_length")


def task_of(state: TaskState) -> Task:
    """What the sample asks, choices included. The target stays out: the judge must not know the answer."""
    given: list[Message] = [user(state.input)] if isinstance(state.input, str) else list(map(read, state.input))
    while given and given[-1].role != "user":
        given.pop()
    choices = "\n".join(f"{letter}) {one.value}" for letter, one in zip(ascii_uppercase, state.choices, strict=False))
    asked = [part for part in (given[-1].text if given else "", choices) if part.strip()]
    return Task(
        question="\n\n".join(asked) or "(the sample has no text)",
        history=tuple(given[:-1]),
        metadata={"sample_id": state.sample_id, "epoch": state.epoch},
    )


def feedback_message(critique: str) -> ChatMessageUser:
    """What a solver is asked to answer with a revision; marked, because it is no part of the work."""
    return ChatMessageUser(content=revision_request(critique), metadata={_FEEDBACK: True})


def trajectory_of(state: TaskState, usage: Usage | None = None) -> Trajectory:
    """The work in a state: what follows the sample's input.

    Of earlier attempts it holds the tool calls and their results, because a revision builds on them.
    """
    work = [message for message in state.messages[_start(state.messages) :] if message.role != "system"]
    asked_again = [index for index, message in enumerate(work) if (message.metadata or {}).get(_FEEDBACK)]
    begin = asked_again[-1] + 1 if asked_again else 0
    evidence = [m for m in work[:begin] if isinstance(m, ChatMessageTool) or getattr(m, "tool_calls", None)]
    cut = bool(state.output.choices) and state.output.stop_reason in _CUT_OFF
    return Trajectory(
        messages=tuple(map(read, [*evidence, *work[begin:]])),
        answer=state.output.completion,
        stop=AgentStop.TRUNCATED if cut else AgentStop.COMPLETED,
        usage=usage or Usage(),
    )


def read(message: ChatMessage) -> Message:
    """A message of inspect_ai in the OpenAI chat format; media are named and not carried."""
    fields: dict[str, Any] = {"role": message.role, "content": _text(message)}
    if isinstance(message, ChatMessageAssistant):
        fields["reasoning_content"] = _reasoning(message) or None
        calls = [ToolCall.make(call.function, call.arguments, id=call.id) for call in message.tool_calls or ()]
        fields["tool_calls"] = tuple(calls) or None
    if isinstance(message, ChatMessageTool):
        fields |= {"tool_call_id": message.tool_call_id, "name": message.function}
    return Message(**without_nones(fields))


def _start(messages: Sequence[ChatMessage]) -> int:
    """Where the work begins: after the sample's own messages, else after the first one of the user."""
    given = [index for index, message in enumerate(messages) if message.source == "input"]
    asked = [index for index, message in enumerate(messages) if message.role == "user"]
    return given[-1] + 1 if given else (asked[0] + 1 if asked else 0)


def _text(message: ChatMessage) -> str:
    parts = [message.content] if isinstance(message.content, str) else [_part(part) for part in message.content]
    if isinstance(message, ChatMessageTool) and message.error is not None:
        parts.append(f"error ({message.error.type}): {message.error.message}")
    return "\n".join(part for part in parts if part)


def _part(part: Any) -> str:
    if part.type == "reasoning":
        return ""
    return str(part.text) if part.type == "text" else f"[{part.type}]"


def _reasoning(message: ChatMessageAssistant) -> str:
    parts = [] if isinstance(message.content, str) else [p for p in message.content if p.type == "reasoning"]
    shown = [(getattr(p, "summary", None) or "") if p.redacted else p.reasoning for p in parts]
    return "\n".join(text for text in shown if text)
