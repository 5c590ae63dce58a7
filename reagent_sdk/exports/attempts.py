"""What of an attempt is its own work, and what came along from the attempts before it."""

from __future__ import annotations

from typing import NamedTuple

from reagent_sdk.agents import Feedback, evidence
from reagent_sdk.messages import Message, assistant
from reagent_sdk.run import Attempt, Run


class Parts(NamedTuple):
    """The messages of one attempt, in order."""

    carried: tuple[Message, ...]
    """Tool calls and results of earlier attempts, at the head of a revision that builds on them."""
    own: tuple[Message, ...]
    """What this attempt did; ends with its answer."""


def parts(run: Run, attempt: Attempt) -> Parts:
    """Tells an attempt's own messages from those that it took over."""
    messages = whole(attempt)
    if attempt.index == 0 or attempt.feedback is None:
        return Parts((), messages)
    brought = evidence(Feedback(run.attempts[attempt.index - 1].trajectory, attempt.feedback))
    if brought and messages[: len(brought)] == brought:
        return Parts(brought, messages[len(brought) :])
    return Parts((), messages)


def whole(attempt: Attempt) -> tuple[Message, ...]:
    """All messages of an attempt. The answer is added where no message states it: agents may return it by itself."""
    messages = attempt.trajectory.messages
    while messages and messages[-1].role == "assistant" and _says_nothing(messages[-1]):
        messages = messages[:-1]
    last = messages[-1] if messages else None
    if last is not None and last.role == "assistant" and not last.tool_calls:
        return messages
    return (*messages, assistant(attempt.answer))


def _says_nothing(message: Message) -> bool:
    return not (message.text.strip() or message.tool_calls)
