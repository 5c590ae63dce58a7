"""Messages of pydantic-ai as chat messages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pydantic_ai.messages import (
    BaseToolCallPart,
    BaseToolReturnPart,
    ModelMessage,
    ModelResponse,
    RetryPromptPart,
    SystemPromptPart,
    TextPart,
    ThinkingPart,
    UserPromptPart,
)

from reagent_sdk.messages import ContentPart, Message, ToolCall, assistant


def prompt_message(content: Any) -> Message:
    """A user prompt, of which parts that are no text keep their kind alone."""
    if isinstance(content, str):
        return Message(role="user", content=content)
    parts = []
    for part in content:
        text = part if isinstance(part, str) else getattr(part, "content", None)
        kind = str(getattr(part, "kind", "file"))
        parts.append(ContentPart(type="text", text=text) if isinstance(text, str) else ContentPart(type=kind))
    return Message(role="user", content=tuple(parts))


def messages_of(messages: Iterable[ModelMessage], *, without_tool: str | None = None) -> list[Message]:
    """Chat messages, in order.

    Args:
        messages: of a run or a history.
        without_tool: a tool whose calls and results are left out: the one that takes the final output.
    """
    said: list[Message] = []
    for message in messages:
        if isinstance(message, ModelResponse):
            said += _response(message, without_tool)
        else:
            said += [read for part in message.parts for read in _asked(part, without_tool)]
    return said


def work_of(messages: Sequence[ModelMessage], answer: str, output_tool: str | None) -> list[Message]:
    """One attempt's chat messages, which end with its answer also where a tool took it."""
    said = messages_of(messages, without_tool=output_tool)
    final = said[-1] if said else None
    if final is not None and final.role == "assistant" and not final.tool_calls and final.text:
        return said
    if final is not None and final.role == "assistant" and not final.tool_calls:
        return [*said[:-1], final.model_copy(update={"content": answer})]
    return [*said, assistant(answer)]


def before_answer(messages: Sequence[ModelMessage]) -> list[ModelMessage]:
    """Messages up to the response that holds the final output, which a revision replaces."""
    at = max((at for at, message in enumerate(messages) if isinstance(message, ModelResponse)), default=len(messages))
    return list(messages[:at])


def _asked(part: Any, without_tool: str | None) -> list[Message]:
    if isinstance(part, SystemPromptPart):
        return [Message(role="system", content=part.content)]
    if isinstance(part, UserPromptPart):
        return [prompt_message(part.content)]
    name = getattr(part, "tool_name", None)
    if name is not None and name == without_tool:
        return []
    if isinstance(part, BaseToolReturnPart):
        return [_result(part)]
    if isinstance(part, RetryPromptPart) or part.part_kind == "retry-feedback":
        text = part.model_response()
        return [Message(role="tool", content=text, tool_call_id=part.tool_call_id) if name else _user(text)]
    return []  # instructions and other things that nobody said


def _user(text: str) -> Message:
    return Message(role="user", content=text)


def _result(part: BaseToolReturnPart) -> Message:
    return Message(role="tool", content=part.model_response_str(), tool_call_id=part.tool_call_id)


def _response(message: ModelResponse, without_tool: str | None) -> list[Message]:
    """One assistant message, and results of tools that the provider ran."""
    thoughts = [part.content for part in message.parts if isinstance(part, ThinkingPart)]
    texts = [part.content for part in message.parts if isinstance(part, TextPart)]
    calls = [
        ToolCall.make(part.tool_name, part.args_as_json_str(), id=part.tool_call_id)
        for part in message.parts
        if isinstance(part, BaseToolCallPart) and part.tool_name != without_tool
    ]
    fields: dict[str, Any] = {"content": "\n".join(texts)}
    if thoughts:
        fields["reasoning_content"] = "\n".join(thoughts)
    if calls:
        fields["tool_calls"] = tuple(calls)
    results = [_result(part) for part in message.parts if isinstance(part, BaseToolReturnPart)]
    return [Message(role="assistant", **fields), *results]


def split(messages: Sequence[Message]) -> tuple[list[Message], list[Message]]:
    """A conversation up to the last user message, and what was done since."""
    at = max((at for at, message in enumerate(messages) if message.role == "user"), default=-1)
    return list(messages[: at + 1]), list(messages[at + 1 :])
