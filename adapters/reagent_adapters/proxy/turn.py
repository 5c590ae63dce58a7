"""The conversation of a request, seen as the loop sees it: what was asked, and the work done on it so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reagent_sdk.errors import InvalidInput
from reagent_sdk.messages import Message, from_openai
from reagent_sdk.task import Task
from reagent_sdk.trajectory import AgentStop, Trajectory


class Unreadable(Exception):
    """The conversation holds no question that a judge could be shown; says why."""


@dataclass(frozen=True)
class Turn:
    """One turn of a conversation.

    Attributes:
        task: the last message of the user, after all that came before it.
        work: what was done since: the caller's agent called tools and sends their results along.
    """

    task: Task
    work: tuple[Message, ...] = ()

    def trajectory(self, reply: Mapping[str, Any]) -> Trajectory:
        """The whole work of an attempt that ends with this reply.

        Args:
            reply: the upstream's completion.
        """
        choice = reply["choices"][0]
        answer = Message.model_validate(_judgeable({"role": "assistant", **choice["message"]}))
        cut = choice.get("finish_reason") == "length"
        stop = AgentStop.TRUNCATED if cut else AgentStop.COMPLETED
        return Trajectory(messages=(*self.work, answer), answer=answer.text, stop=stop)


def read_turn(messages: Sequence[Any]) -> Turn:
    """Splits a conversation after the user's last message.

    A conversation without one, such as a lone system prompt, asks with its first message.

    Raises:
        Unreadable: a message is not one, or none of them asks anything.
    """
    try:
        read = from_openai([_judgeable(message) if isinstance(message, Mapping) else message for message in messages])
        asked = max((index for index, message in enumerate(read) if message.role == "user"), default=0)
        return Turn(Task.of(read[: asked + 1]), read[asked + 1 :])
    except InvalidInput as error:
        raise Unreadable(f"the judge cannot read the conversation: {error}") from None


def _judgeable(message: Mapping[str, Any]) -> Mapping[str, Any]:
    """The message with calls of custom tools and of the old `function_call` field written as calls of functions."""
    calls = message.get("tool_calls") or []
    old = message.get("function_call")
    custom = any(isinstance(call, Mapping) and isinstance(call.get("custom"), Mapping) for call in calls)
    if not custom and not isinstance(old, Mapping):
        return message
    read = [_as_function(call) for call in calls] + ([{"function": old}] if isinstance(old, Mapping) else [])
    return {**message, "tool_calls": read}


def _as_function(call: Any) -> Any:
    custom = call.get("custom") if isinstance(call, Mapping) else None
    if not isinstance(custom, Mapping):
        return call
    return {
        "id": call.get("id", ""),
        "function": {"name": custom.get("name", ""), "arguments": custom.get("input", "")},
    }
