"""The whole work of one attempt."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

from reagent_sdk.errors import InvalidInput
from reagent_sdk.frozen import Frozen
from reagent_sdk.messages import Message, from_openai, to_openai
from reagent_sdk.usage import Usage


class AgentStop(StrEnum):
    """Why the agent stopped working on an attempt."""

    COMPLETED = "completed"
    """It gave its final answer."""
    TRUNCATED = "truncated"
    """Its output was cut off by a token limit."""
    STEP_LIMIT = "step_limit"
    """It ran out of steps and was asked for its answer."""
    UNKNOWN = "unknown"
    """The agent did not say."""


class Trajectory(Frozen):
    """Messages of one attempt (reasoning, tool calls, tool results) and its final answer.

    `messages` is the work itself, without the feedback that prompted it: what the judge reads and what training learns
    from.
    """

    messages: tuple[Message, ...] = ()
    answer: str
    stop: AgentStop = AgentStop.COMPLETED
    usage: Usage = Usage()

    @classmethod
    def from_openai(cls, messages: Iterable[Message | Mapping[str, Any]], *, answer: str | None = None) -> Trajectory:
        """Reads a trajectory from OpenAI chat messages, losslessly.

        Args:
            messages: the conversation, tool calls and results included.
            answer: the final answer; by default the text of the last assistant message that has any.

        Raises:
            InvalidInput: no messages, a message that is not one, or no answer to be found.
        """
        read = from_openai(messages)
        if not read:
            raise InvalidInput("the trajectory is empty: it needs at least one message")
        if answer is None:
            answer = next((m.text for m in reversed(read) if m.role == "assistant" and m.text.strip()), None)
        if answer is None:
            raise InvalidInput("the trajectory has no answer: no assistant message with text, and none was given")
        return cls(messages=read, answer=answer)

    def to_openai(self) -> list[dict[str, Any]]:
        """The messages as plain dicts; the inverse of :meth:`from_openai`."""
        return to_openai(self.messages)

    def same_work(self, other: Trajectory) -> bool:
        """Whether both say the same, apart from usage and surrounding white space."""
        return self._work() == other._work()

    def _work(self) -> tuple[Any, ...]:
        said = tuple((m.role, m.text.strip(), m.tool_calls) for m in self.messages if m.role != "system")
        return (self.answer.strip(), said)
