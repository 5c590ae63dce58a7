"""What can be seen of each step without knowing the answer: what it calls, whether that failed, whether it repeats."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from reagent_sdk.messages import Message
from reagent_sdk.task import Task
from reagent_sdk.trajectory import Trajectory

_FAILED = re.compile(
    r"\A[\s\W]{0,8}(?:error|exception|failed|\w{1,40}(?:Error|Exception))\b"
    r"|Traceback \(most recent call last\)"
    r"|^\w{1,40}(?:Error|Exception): ",
    re.IGNORECASE | re.MULTILINE,
)
_NO_CALL = re.compile(r"no effective tool call|i don't understand your input", re.IGNORECASE)
"""What environments answer, as a user, to a step that was meant as a call and is none."""
_LOOKED_AT = 4_000


class Sign(NamedTuple):
    """One step of the agent.

    Attributes:
        message: index in the trajectory's messages.
        number: the number in square brackets that the judge reads beside it; None for the final answer.
        tools: names of the tools it calls, each once.
        calls: how many calls it makes.
        failed: how many of them came back as an error; 1 for a step that was meant as a call and is none.
        repeated: how many of them an earlier step made already, with the same arguments.
    """

    message: int
    number: int | None
    tools: tuple[str, ...]
    calls: int
    failed: int
    repeated: int


def read_signs(task: Task, trajectory: Trajectory) -> tuple[Sign, ...]:
    """The agent's steps, in order; results and what others say are no steps of its own."""
    numbers = shown_numbers(task, trajectory)
    seen: set[tuple[str, str]] = set()
    signs = []
    for index, message in enumerate(trajectory.messages):
        if message.role != "assistant":
            continue
        calls = [(call.name, call.arguments_text) for call in message.tool_calls or ()]
        repeated = 0
        for call in calls:
            repeated += call in seen
            seen.add(call)
        failed = sum(_failed(result) for result in _results(trajectory.messages, index))
        tools = tuple(dict.fromkeys(name for name, _ in calls))
        signs.append(Sign(index, numbers.get(index), tools, len(calls), failed, repeated))
    return tuple(signs)


def mess(signs: Sequence[Sign]) -> float:
    """Share of all calls that failed or repeated an earlier one; 0 without calls."""
    calls = sum(sign.calls for sign in signs)
    return sum(min(sign.calls, sign.failed + sign.repeated) for sign in signs) / calls if calls else 0.0


def shown_numbers(task: Task, trajectory: Trajectory) -> dict[int, int]:
    """The numbers that `rendering` gives the messages of a trajectory; a final answer at the end has none.

    A user's message that is the question again has none either: the judge reads it once, at the top.
    """
    asked = task.question.strip()
    messages = [(None, message) for message in task.history if message.role != "system"]
    work = list(enumerate(trajectory.messages))
    if work and _is_answer(work[-1][1], trajectory):
        work.pop()
    numbers: dict[int, int] = {}
    count = 0
    for index, message in (*messages, *work):
        if message.role == "user" and message.text.strip() == asked:
            continue
        count += 1
        if index is not None:
            numbers[index] = count
    return numbers


def _is_answer(message: Message, trajectory: Trajectory) -> bool:
    said = message.text.strip()
    return message.role == "assistant" and not message.tool_calls and said == trajectory.answer.strip()


def _results(messages: Sequence[Message], index: int) -> list[Message]:
    """What a step gets back, up to the agent's next one."""
    found = []
    for message in messages[index + 1 :]:
        if message.role == "assistant":
            break
        found.append(message)
    return found


def _failed(result: Message) -> bool:
    sign = _FAILED if result.role == "tool" else _NO_CALL
    return sign.search(result.text[:_LOOKED_AT]) is not None
