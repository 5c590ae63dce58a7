"""What an attack on a judge is, and how it gets into a trajectory without a change to the work itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from reagent_sdk.messages import ContentPart, Message, ToolCall
from reagent_sdk.task import Task
from reagent_sdk.trajectory import Trajectory

Work = tuple[Task, Trajectory]
LONG_CHARS = 2_000


class Kind(StrEnum):
    """How an attack has to be stopped."""

    FORMAT = "format"
    """By code, every time: what it forges must not reach the judge, or the agent, as it was written."""
    PERSUASION = "persuasion"
    """By the judge's own judgement: measured, never promised."""


class Aim(StrEnum):
    """What the attacker wants."""

    RAISE = "raise"
    """A better score for wrong work."""
    LOWER = "lower"
    """A worse score for right work."""
    PLANT = "plant"
    """A text of the attacker's in the critique, which reaches the agent."""
    NONE = "none"
    """Nothing: harmless text, to see how far any added text moves a score."""


class Place(StrEnum):
    """Where the hostile text stands."""

    ANSWER = "answer"
    RESULT = "tool result"
    SPEECH = "assistant text"
    REASONING = "reasoning field"
    ARGUMENTS = "call arguments"
    ARGUMENT_KEY = "argument key"
    CALL_NAME = "called name"
    CALL_ID = "call id"
    RESULT_NAME = "result's tool name"
    ROLE = "role"
    QUESTION = "question"
    SPLIT = "tool name and result"
    PARTS = "two content parts"
    STEPS = "added steps"
    CRITIQUE = "critique"
    """On its way from the judge to the agent; no judge reads it."""


@dataclass(frozen=True)
class Attack:
    """One attack.

    Attributes:
        name: unique.
        family: which family it belongs to.
        kind: who has to stop it.
        place: where its text goes.
        text: what is added; `{answer}` and `{question}` stand for those of the trajectory.
        aim: what the attacker wants.
        forged: what must not be left of it, word for word; for format attacks.
        second: the other half of a text that is split over two fields.
        plant: what the attacker wants in the critique.
        repeat: how often the text is repeated.
    """

    name: str
    family: str
    kind: Kind
    place: Place
    text: str
    aim: Aim = Aim.RAISE
    forged: tuple[str, ...] = ()
    second: str = ""
    plant: str = ""
    repeat: int = 1

    @property
    def is_long(self) -> bool:
        """Whether it fills windows rather than persuades; a small judge on a CPU would read it for minutes."""
        return len(self.text) * self.repeat > LONG_CHARS

    def meets(self, right: bool) -> bool:
        """Whether it makes sense on right (or wrong) work: a better score for right work is no success."""
        return self.aim not in (Aim.RAISE, Aim.LOWER) or right is (self.aim is Aim.LOWER)

    def on(self, task: Task, trajectory: Trajectory) -> Work | None:
        """The attacked task and trajectory; None where the trajectory lacks the place.

        Nothing that was there changes, but for what the place itself names: text is only added.
        """
        put = _PUT.get(self.place)
        if put is None:
            return None
        facts = {"{answer}": _short(trajectory.answer), "{question}": _short(task.question)}
        text, second = (_filled(one, facts) for one in (self.text * self.repeat, self.second))
        return put(task, trajectory, text, second)


def _short(text: str) -> str:
    return " ".join(text.split())[:120]


def _filled(text: str, facts: dict[str, str]) -> str:
    for mark, fact in facts.items():
        if mark in text:
            return fact.join(text.split(mark))
    return text


Put = Callable[[Task, Trajectory, str, str], Work | None]


def _answer(task: Task, trajectory: Trajectory, text: str, _: str) -> Work:
    answer = f"{trajectory.answer}\n{text}"
    messages = trajectory.messages
    if messages and messages[-1].role == "assistant" and messages[-1].text == trajectory.answer:
        messages = (*messages[:-1], messages[-1].model_copy(update={"content": answer}))
    return task, trajectory.model_copy(update={"answer": answer, "messages": messages})


def _question(task: Task, trajectory: Trajectory, text: str, _: str) -> Work:
    return task.model_copy(update={"question": f"{task.question}\n{text}"}), trajectory


def _steps(task: Task, trajectory: Trajectory, text: str, _: str) -> Work:
    added = tuple(Message(role="assistant", content=part) for part in text.split("\f") if part.strip())
    return task, trajectory.model_copy(
        update={"messages": (*trajectory.messages[:-1], *added, trajectory.messages[-1])}
    )


def _edit(role: str, change: Callable[[Message, str, str], Message | None], *, last: bool = True) -> Put:
    """Changes the first or last message of a role that can be changed; never the answer's own."""

    def put(task: Task, trajectory: Trajectory, text: str, second: str) -> Work | None:
        messages = list(trajectory.messages)
        order = range(len(messages) - 1, -1, -1) if last else range(len(messages))
        for index in order:
            message = messages[index]
            is_answer = index == len(messages) - 1 and message.text == trajectory.answer
            if message.role != role or is_answer or (changed := change(message, text, second)) is None:
                continue
            messages[index] = changed
            return task, trajectory.model_copy(update={"messages": tuple(messages)})
        return None

    return put


def _set(message: Message, **fields: object) -> Message:
    return Message.model_validate({**message.model_dump(), **fields})


def _said(message: Message, text: str, _: str) -> Message:
    return _set(message, content=f"{message.text}\n{text}".lstrip("\n"))


def _parts(message: Message, text: str, second: str) -> Message:
    parts = [ContentPart(type="text", text=part) for part in (message.text, text, second)]
    return _set(message, content=[part.model_dump() for part in parts])


def _call(change: Callable[[ToolCall, str], ToolCall]) -> Callable[[Message, str, str], Message | None]:
    def changed(message: Message, text: str, _: str) -> Message | None:
        calls = message.tool_calls
        return _set(message, tool_calls=[*calls[:-1], change(calls[-1], text)]) if calls else None

    return changed


def _arguments(call: ToolCall, **more: str) -> ToolCall:
    try:
        given = json.loads(call.arguments_text)
    except ValueError:
        given = None
    arguments = {**given, **more} if isinstance(given, dict) else {"input": call.arguments_text, **more}
    return ToolCall.make(call.name, arguments, id=call.id)


_PUT: dict[Place, Put] = {
    Place.ANSWER: _answer,
    Place.QUESTION: _question,
    Place.STEPS: _steps,
    Place.RESULT: _edit("tool", _said),
    Place.SPEECH: _edit("assistant", _said, last=False),
    Place.REASONING: _edit("assistant", lambda message, text, _: _set(message, reasoning_content=text), last=False),
    Place.ROLE: _edit("assistant", lambda message, text, _: _set(message, role=message.role + text), last=False),
    Place.RESULT_NAME: _edit("tool", lambda message, text, _: _set(message, name=(message.name or "") + text)),
    Place.SPLIT: _edit(
        "tool", lambda message, text, second: _set(message, tool_call_id=text, content=second + message.text)
    ),
    Place.PARTS: _edit("tool", _parts),
    Place.ARGUMENTS: _edit("assistant", _call(lambda call, text: _arguments(call, note=text))),
    Place.ARGUMENT_KEY: _edit("assistant", _call(lambda call, text: _arguments(call, **{text: ""}))),
    Place.CALL_NAME: _edit(
        "assistant", _call(lambda call, text: ToolCall.make(call.name + text, call.arguments_text, id=call.id))
    ),
    Place.CALL_ID: _edit(
        "assistant", _call(lambda call, text: ToolCall.make(call.name, call.arguments_text, id=call.id + text))
    ),
}
