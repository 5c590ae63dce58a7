"""What a runnable gave, read as a trajectory, and rid of what a revision was told."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage

from reagent_adapters.langchain.messages import answer_of, as_text, evidence, stop_of, to_chat
from reagent_adapters.results import answer_text
from reagent_sdk.trajectory import Trajectory
from reagent_sdk.usage import Usage


def messages_in(output: Any) -> list[BaseMessage] | None:
    """The messages of an output that has some: a message, a list of them, or a state with `messages`."""
    if isinstance(output, BaseMessage):
        return [output]
    found = output.get("messages") if isinstance(output, Mapping) else output
    if not isinstance(found, list | tuple) or not found or not all(isinstance(one, BaseMessage) for one in found):
        return None
    return list(found)


def work_in(messages: Sequence[BaseMessage], sent: Collection[str]) -> list[BaseMessage]:
    """What was added to a conversation after the last message that was sent, or else after the last of the user."""
    places = [i for i, message in enumerate(messages) if message.id in sent]
    places = places or [i for i, message in enumerate(messages) if isinstance(message, HumanMessage)]
    return list(messages[places[-1] + 1 :]) if places else list(messages)


def answers_in(work: Sequence[BaseMessage]) -> set[str]:
    """Ids of the messages that give the answer; none where the answer is the result of a tool."""
    return {message.id for message in work[-1:] if message.id and not evidence([message])}


def shown_work(output: Any, own: Sequence[BaseMessage] | None, seen: Sequence[BaseMessage]) -> list[BaseMessage]:
    """An attempt's work as messages, its answer last.

    Args:
        output: what the runnable gave.
        own: the messages in it that belong to the attempt; None for an output without messages.
        seen: tool calls and results that were seen inside the runnable; they count where the output shows none.

    Raises:
        AgentError: there is no output.
    """
    if own is None:
        return [*seen, AIMessage(answer_text(output))]
    return list(own) if evidence(own) else [*seen, *own]


def trajectory_of(output: Any, work: Sequence[BaseMessage], usage: Usage) -> Trajectory:
    """The work as a trajectory."""
    structured = output.get("structured_response") if isinstance(output, Mapping) else None
    by_tool = structured is not None and bool(work) and isinstance(work[-1], ToolMessage)
    answer = as_text(structured) if by_tool else answer_of(work)
    return Trajectory(messages=to_chat(work), answer=answer, stop=stop_of(work), usage=usage)


def without(value: Any, ids: Collection[str]) -> Any:
    """The same without some messages, wherever they stand in it."""
    if not ids:
        return value
    if isinstance(value, dict):
        return type(value)({name: without(one, ids) for name, one in value.items()})
    if type(value) in (list, tuple):
        kept = [without(one, ids) for one in value if not (isinstance(one, BaseMessage) and one.id in ids)]
        return type(value)(kept)
    return value
