"""LangChain's messages in the OpenAI chat format, with their tool calls, their reasoning and what they cost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    RemoveMessage,
    ToolMessage,
    convert_to_openai_messages,
)
from langchain_core.messages.ai import UsageMetadata
from pydantic_core import to_json

from reagent_sdk.errors import InvalidInput
from reagent_sdk.messages import Message, from_openai
from reagent_sdk.task import Task
from reagent_sdk.trajectory import AgentStop
from reagent_sdk.usage import Usage

REASONING = ("reasoning", "reasoning_content", "thinking", "redacted_thinking")


def to_chat(messages: Iterable[BaseMessage]) -> tuple[Message, ...]:
    """The messages in the chat format: nothing of a tool call is lost, reasoning stands in a field of its own."""
    return from_openai([_chat_dict(message) for message in messages if not isinstance(message, RemoveMessage)])


def asked_in(messages: Sequence[BaseMessage]) -> tuple[Task, int]:
    """What a conversation asks, with what was said before, and the position of the message that asks it.

    Raises:
        InvalidInput: nobody asks anything.
    """
    for index in reversed(range(len(messages))):
        if isinstance(messages[index], HumanMessage):
            return Task.of(to_chat(messages[: index + 1])), index
    if not messages:
        raise InvalidInput("there are no messages: the conversation must hold the user's question")
    return Task.of(to_chat(messages)), len(messages) - 1


def answer_of(messages: Sequence[BaseMessage]) -> str:
    """What the work ends with: the text of its last message or, when a model has only called tools, those calls."""
    if not messages:
        return ""
    last = messages[-1]
    text = to_chat([last])[0].text
    if text.strip() or not isinstance(last, AIMessage) or not last.tool_calls:
        return text
    return as_text([{"name": call["name"], "arguments": call["args"]} for call in last.tool_calls])


def as_text(value: object) -> str:
    """A structured answer as JSON."""
    return to_json(value, fallback=str).decode()


def stop_of(messages: Sequence[BaseMessage]) -> AgentStop:
    """Whether the last message was cut off."""
    told = messages[-1].response_metadata if messages else {}
    cut = "length" in (told.get("finish_reason"), told.get("done_reason")) or told.get("stop_reason") == "max_tokens"
    return AgentStop.TRUNCATED if cut else AgentStop.COMPLETED


def evidence(messages: Iterable[BaseMessage]) -> list[BaseMessage]:
    """The calls of tools and their results, which later work builds on."""
    return [m for m in messages if isinstance(m, ToolMessage) or (isinstance(m, AIMessage) and m.tool_calls)]


def usage_of(metadata: UsageMetadata | None, *, calls: int = 0) -> Usage:
    """What one model call used, as its message says; LangChain knows no prices.

    Args:
        metadata: the message's `usage_metadata`.
        calls: 0 for a call that was admitted to the meter before it was made, else 1.
    """
    if not metadata:
        return Usage(calls=calls, unpriced_calls=1, unmetered_calls=1)
    return Usage(
        calls=calls,
        prompt_tokens=metadata.get("input_tokens", 0),
        completion_tokens=metadata.get("output_tokens", 0),
        cached_tokens=metadata.get("input_token_details", {}).get("cache_read", 0),
        unpriced_calls=1,
    )


def usage_of_all(messages: Iterable[BaseMessage]) -> Usage:
    """What the model calls used that gave these messages."""
    total = Usage()
    for message in messages:
        if isinstance(message, AIMessage):
            total += usage_of(message.usage_metadata, calls=1)
    return total


def _chat_dict(message: BaseMessage) -> dict[str, Any]:
    if not isinstance(message, AIMessage):
        return dict(convert_to_openai_messages([message])[0])
    spoken = message
    if isinstance(message.content, list):
        said = [b for b in message.content if isinstance(b, str) or b.get("type") not in REASONING]
        spoken = message.model_copy(update={"content": said})
    chat: dict[str, Any] = dict(convert_to_openai_messages([spoken])[0])
    if not chat.get("content"):
        chat["content"] = ""
    broken = [
        {
            "id": call.get("id") or "",
            "type": "function",
            "function": {"name": call.get("name") or "", "arguments": call.get("args") or ""},
        }
        for call in message.invalid_tool_calls
    ]
    if broken:  # the judge is to see these as well, as the model wrote them
        chat["tool_calls"] = [*chat.get("tool_calls", []), *broken]
    if reasoning := _reasoning(message):
        chat["reasoning_content"] = reasoning
    return chat


def _reasoning(message: AIMessage) -> str:
    blocks = message.content_blocks
    return "\n".join(str(b.get("reasoning") or "") for b in blocks if b["type"] == "reasoning").strip()
