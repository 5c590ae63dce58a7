"""A trajectory as the judge reads it: every step, defused, cut to the room there is, every cut marked and counted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from reagent_sdk.framing import defuse_lines, one_line
from reagent_sdk.messages import Message
from reagent_sdk.task import Task
from reagent_sdk.trajectory import Trajectory

SMALLEST_ROOM = 1_000
"""Characters below which a judge would not see enough to judge."""

_SMALLEST_CAP = 250
_SHARE_OF_ENDS = 0.25
"""The question and the answer may each take this share of the room; the work gets the rest."""


class Rendered(NamedTuple):
    """Text for the judge, how many characters of the original it leaves out, and which steps of the agent it shows.

    `steps` maps the number of a step to its index in `trajectory.messages`. A last message that is the answer has no
    number in the text; here it has the one after all others, and `answer_step` is that number.
    """

    text: str
    omitted_chars: int
    steps: Mapping[int, int]
    answer_step: int | None


class _Step(NamedTuple):
    number: int
    place: int | None  # index in the trajectory, of steps of the agent
    head: str
    body: str
    is_tool: bool

    @property
    def text(self) -> str:
        return f"{self.head}\n{self.body}".rstrip()


def render_record(task: Task, trajectory: Trajectory, *, max_chars: int) -> Rendered:
    """Renders question, work and final answer for the judge.

    Args:
        task: what was asked.
        trajectory: what was done; an answer that is also the last message appears once.
        max_chars: room for the whole text; below 1,000 it counts as 1,000.
    """
    max_chars = max(SMALLEST_ROOM, max_chars)
    ends = int(max_chars * _SHARE_OF_ENDS)
    question, cut_question = clip(defuse_lines(task.question), ends)
    answer, cut_answer = clip(defuse_lines(trajectory.answer), ends)
    steps = list(_steps(task, trajectory))
    work, cut_work, shown = _fit(steps, max_chars - len(question) - len(answer) - 200)
    text = f"# Question\n{question}\n\n# Work\n{work or '(no steps were recorded)'}\n\n# Final answer\n{answer}"
    places = {step.number: step.place for step in shown if step.place is not None}
    answer_step = len(steps) + 1 if _ends_with_answer(trajectory) else None
    if answer_step is not None:
        places[answer_step] = len(trajectory.messages) - 1
    return Rendered(text, cut_question + cut_answer + cut_work, places, answer_step)


def clip(text: str, limit: int) -> tuple[str, int]:
    """Cuts the middle out of a text that is too long; returns it and the number of characters left out.

    A limit below 120 counts as 120: the mark of the cut needs room as well.
    """
    limit = max(limit, 120)
    if len(text) <= limit:
        return text, 0
    keep = limit - 48
    head, tail = keep - keep // 3, keep // 3
    omitted = len(text) - head - tail
    return f"{text[:head]}\n[... {omitted} characters left out ...]\n{text[-tail:]}", omitted


def _steps(task: Task, trajectory: Trajectory) -> Iterator[_Step]:
    work = list(enumerate(trajectory.messages))
    if _ends_with_answer(trajectory):
        work.pop()
    asked = task.question.strip()
    conversation = [(None, message) for message in task.history if message.role != "system"]
    number = 0
    for place, message in (*conversation, *work):
        if message.role == "user" and message.text.strip() == asked:
            continue
        number += 1
        yield _step(number, place, message)


def _ends_with_answer(trajectory: Trajectory) -> bool:
    """Whether the last message is the answer, which then appears once."""
    if not trajectory.messages:
        return False
    last = trajectory.messages[-1]
    return last.role == "assistant" and not last.tool_calls and last.text.strip() == trajectory.answer.strip()


def _step(number: int, place: int | None, message: Message) -> _Step:
    """One message; role, tool names and call ids are as hostile as the rest, and must not leave their line."""
    label = message.role
    if message.role == "tool":
        label = "result of" + "".join(f" {part}" for part in (message.name, message.tool_call_id) if part)
    lines = [defuse_lines(part) for part in (message.reasoning, message.text) if part.strip()]
    for call in message.tool_calls or ():
        called = one_line(f"{call.name} {call.id}")
        lines.append(f"-> calls {called}: {defuse_lines(call.arguments_text)}")
    own = place if message.role == "assistant" else None
    return _Step(number, own, f"[{number}] {one_line(label)}", "\n".join(lines), message.role == "tool")


def _fit(steps: list[_Step], room: int) -> tuple[str, int, list[_Step]]:
    """Shortens tool results first, then everything, then drops steps; returns text, characters cut and steps shown."""
    text = _join(steps)
    if len(text) <= room:
        return text, 0, steps
    for tools_only in (True, False):
        cap = max(room, 2 * _SMALLEST_CAP)
        while cap >= _SMALLEST_CAP:
            shortened, cut = _clip_steps(steps, cap, tools_only=tools_only)
            if len(text := _join(shortened)) <= room:
                return text, cut, steps
            cap //= 2
    return _drop_middle(shortened, cut, room)


def _clip_steps(steps: list[_Step], cap: int, *, tools_only: bool) -> tuple[list[_Step], int]:
    total, out = 0, []
    for step in steps:
        if step.is_tool or not tools_only:
            body, cut = clip(step.body, cap)
            total += cut
            step = step._replace(body=body)
        out.append(step)
    return out, total


def _drop_middle(steps: list[_Step], cut: int, room: int) -> tuple[str, int, list[_Step]]:
    """Keeps the first steps and, with twice their room, the last ones; the end of the work matters most."""
    head: list[str] = []
    tail: list[str] = []
    texts = [step.text for step in steps]
    left = room - 60
    budget = left // 3
    while texts and len(texts[0]) + 2 <= budget:
        budget -= len(texts[0]) + 2
        head.append(texts.pop(0))
    budget += left - left // 3
    while texts and len(texts[-1]) + 2 <= budget:
        budget -= len(texts[-1]) + 2
        tail.insert(0, texts.pop())
    dropped = sum(len(text) for text in texts)
    gap = [f"[... {len(texts)} steps left out ...]"] if texts else []
    shown = steps[: len(head)] + steps[len(steps) - len(tail) :]
    return "\n\n".join(head + gap + tail), cut + dropped, shown


def _join(steps: list[_Step]) -> str:
    return "\n\n".join(step.text for step in steps)
