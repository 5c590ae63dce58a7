"""Messages, events and results of LlamaIndex in the form that the judge reads."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from llama_index.core.agent.workflow import AgentOutput, ToolCallResult
from llama_index.core.agent.workflow.base_agent import DEFAULT_AGENT_NAME
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)
from llama_index.core.base.response.schema import PydanticResponse, Response
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.schema import NodeWithScore
from llama_index.core.workflow import Event

from reagent_adapters.results import answer_text, without_nones
from reagent_sdk.agents import Feedback, evidence
from reagent_sdk.messages import Message, ToolCall, assistant
from reagent_sdk.trajectory import Trajectory

_ROLES = {"chatbot": "assistant", "model": "assistant", "function": "tool"}


class Recorder:
    """Collects the messages of an attempt from its events: each reply of a model, each tool call and its result."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.events: list[Event] = []

    def see(self, event: Event) -> None:
        """Takes the next event."""
        self.events.append(event)
        if isinstance(event, ToolCallResult):
            self.messages.append(_tool_result(event))
        elif isinstance(event, AgentOutput) and event.retry_messages:
            self.messages += map(message_of, event.retry_messages)
        elif isinstance(event, AgentOutput):
            # the finished output also lists the results of tools as its calls
            calls = [call for call in event.tool_calls if isinstance(call, ToolSelection)]
            name = event.current_agent_name
            self.messages.append(message_of(event.response, calls, None if name == DEFAULT_AGENT_NAME else name))


def finished(messages: Iterable[Message], answer: str, feedback: Feedback | None) -> Trajectory:
    """The trajectory of an attempt, with what it builds on; the answer stands last, also where no model said it."""
    done = [*evidence(feedback), *messages]
    if not done or done[-1].role != "assistant" or not done[-1].text.strip():
        done.append(assistant(answer))
    return Trajectory(messages=tuple(done), answer=answer)


def message_of(
    message: ChatMessage, calls: Iterable[ToolSelection | ToolCallBlock] = (), name: str | None = None
) -> Message:
    """A chat message in the OpenAI format. Blocks that are not text appear as `[image]` and the like."""
    asked = [*calls] or [block for block in message.blocks if isinstance(block, ToolCallBlock)]
    thoughts = [block.content for block in message.blocks if isinstance(block, ThinkingBlock) and block.content]
    role = message.role.value
    fields: dict[str, Any] = {
        "role": _ROLES.get(role, role),
        "content": text_of(message.blocks),
        "reasoning_content": "\n".join(thoughts) or None,
        "tool_calls": tuple(map(_call, asked)) or None,
        "tool_call_id": message.additional_kwargs.get("tool_call_id"),
        "name": name,
    }
    return Message(**without_nones(fields))


def text_of(blocks: Iterable[Any]) -> str:
    """All text of content blocks."""
    shown = [block for block in blocks if not isinstance(block, ThinkingBlock | ToolCallBlock)]
    return "\n".join(block.text if isinstance(block, TextBlock) else f"[{block.block_type}]" for block in shown)


def answer_of(result: object) -> str:
    """The answer in a result: its text, or JSON where it is structured.

    Raises:
        AgentError: there is none.
    """
    if isinstance(result, AgentOutput):
        return answer_text(result.structured_response or text_of(result.response.blocks))
    if isinstance(result, ChatResponse):
        return answer_text(text_of(result.message.blocks))
    if isinstance(result, ChatMessage):
        return answer_text(text_of(result.blocks))
    if isinstance(result, CompletionResponse):
        return answer_text(result.text)
    if isinstance(result, Response | PydanticResponse):
        return answer_text(result.response)
    return answer_text(result)


def retrieval(query: str, nodes: Iterable[NodeWithScore]) -> list[Message]:
    """What a query engine read, as a tool call and its result; empty when it read nothing."""
    sources = [
        f"[{index}] id={node.node.node_id}{'' if node.score is None else f' score={node.score:.3f}'}\n"
        f"{node.node.get_content()}"
        for index, node in enumerate(nodes, 1)
    ]
    if not sources:
        return []
    call = ToolCall.make("retrieve", {"query": query}, id="retrieve")
    return [
        Message(role="assistant", tool_calls=(call,)),
        Message(role="tool", tool_call_id="retrieve", name="retrieve", content="\n\n".join(sources)),
    ]


def _call(call: ToolSelection | ToolCallBlock) -> ToolCall:
    arguments = call.tool_kwargs
    text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False, default=str)
    id_ = call.tool_id if isinstance(call, ToolSelection) else call.tool_call_id
    return ToolCall.make(call.tool_name, text, id=id_ or "")


def _tool_result(event: ToolCallResult) -> Message:
    text = text_of(event.tool_output.blocks)
    return Message(role="tool", tool_call_id=event.tool_id, name=event.tool_name, content=text)
