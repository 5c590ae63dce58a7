"""MINT: agents with Python and Wikipedia that solve questions and propose solutions (Wang et al., arXiv 2309.10691).

An item is a run up to its first proposed solution. It is right when the run ended there in success, and wrong when the
environment rejected it. Runs that propose nothing are left out: there is no answer to judge.

What is removed, and why:

- everything after the first solution. The environment answers a wrong one with "Your answer is wrong", and a run that
  goes on has failed its first try: either would tell the label;
- runs with a critic, unless asked for. Its critiques begin with a verdict ("This is GOOD", "This is INCORRECT"), and
  one kind of critic has seen the reference answer;
- the reference answer, success, the counts of actions, and why the run ended.

What is rewritten: `<execute>` blocks become calls of a tool `python`, joined as the environment joins them, and their
observations become results. What the environment says of anything else ("I don't understand your input", steps left)
and what a critic says come from the role "user". The tags of thoughts and a leading "Assistant:" go, because they tell
models apart, not right from wrong. The turn with the solution stays whole; no code in it was ever run.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from reagent_benchmarks.judging.items import JudgedItem, with_unique_ids
from reagent_benchmarks.judging.rows import Row, files_of, read_rows
from reagent_sdk.errors import InvalidInput
from reagent_sdk.messages import Message, ToolCall, assistant, user
from reagent_sdk.task import Task
from reagent_sdk.trajectory import Trajectory

PATTERN = "trajectories_*.jsonl"
NO_CRITIC = ("none",)

_SOLUTION = re.compile(r"<solution>(.*?)</solution>", re.DOTALL)
_CODE = re.compile(r"<execute>(.*?)</execute>", re.DOTALL)
_THOUGHT_TAG = re.compile(r"</?thought>")
_SPEAKER = re.compile(r"\A\s*Assistant:\s*")
_OBSERVATION = re.compile(r"\A\s*Observation:\n?")


class Cut(NamedTuple):
    """A run up to its first proposed solution.

    Attributes:
        trajectory: the work, and what was proposed as its answer.
        turn: index of the turn that proposes it.
        is_last: whether the agent has no later turn.
    """

    trajectory: Trajectory
    turn: int
    is_last: bool


def cut_at_first_solution(turns: Sequence[Mapping[str, Any]]) -> Cut | None:
    """A run up to its first proposed solution; None when it proposes none. A block that is not closed proposes nothing.

    Args:
        turns: `{"role": "assistant" | "observation" | "critique", "content": text}`, in order.

    Raises:
        InvalidInput: a turn has another role or no text.
    """
    speaking = [index for index, turn in enumerate(turns) if turn.get("role") == "assistant"]
    first = next((index for index in speaking if proposed(str(turns[index].get("content"))) is not None), None)
    if first is None:
        return None
    messages = as_messages(turns[: first + 1])
    answer = proposed(str(turns[first]["content"])) or ""
    return Cut(Trajectory(messages=messages, answer=answer), first, first == speaking[-1])


def proposed(text: str) -> str | None:
    """What a turn proposes: all its `<solution>` blocks, a line each, as the environment reads them."""
    found = [block.strip() for block in _SOLUTION.findall(text)]
    return "\n".join(found) if any(found) else None


def as_messages(turns: Sequence[Mapping[str, Any]]) -> tuple[Message, ...]:
    """Turns as chat messages with tool calls and results.

    Raises:
        InvalidInput: a turn has another role or no text.
    """
    messages: list[Message] = []
    for index, turn in enumerate(turns):
        role, text = turn.get("role"), turn.get("content")
        if not isinstance(text, str) or role not in ("assistant", "observation", "critique"):
            raise InvalidInput(f"turn {index} must have a text and the role assistant, observation or critique")
        if role == "assistant":
            messages.append(_said(text, f"call_{index}"))
            continue
        heard = _OBSERVATION.sub("", text).strip()
        calls = messages[-1].tool_calls if messages else None
        if role == "observation" and calls:
            messages.append(Message(role="tool", tool_call_id=calls[0].id, name=calls[0].name, content=heard))
        else:
            messages.append(user(heard))
    return tuple(messages)


def _said(text: str, call_id: str) -> Message:
    """An assistant's turn; code is run only when the turn proposes no solution."""
    text = _SPEAKER.sub("", text)
    code = "\n".join(block.strip() for block in _CODE.findall(text)) if proposed(text) is None else ""
    spoken = _THOUGHT_TAG.sub("", _CODE.sub("", text) if code.strip() else text).strip()
    if not code.strip():
        return assistant(spoken)
    call = ToolCall.make("python", {"code": code}, id=call_id)
    return Message(role="assistant", content=spoken, tool_calls=(call,))


def load(
    folder: str | Path, *, critics: Collection[str] = NO_CRITIC, left_out: Counter[str] | None = None
) -> list[JudgedItem]:
    """The items of a folder.

    Args:
        folder: with `trajectories_*.jsonl`, or one such file.
        critics: which runs to take, by their critic; "none" is no critic.
        left_out: counts what is left out, by reason.

    Raises:
        InvalidInput: no files, or a malformed row.
    """
    counts = left_out if left_out is not None else Counter[str]()
    items = []
    for file in files_of(Path(folder), PATTERN, "mint"):
        for row in read_rows(file):
            if row.get("critic", str) not in critics:
                counts["runs with a critic"] += 1
            elif item := _item(row, counts):
                items.append(item)
    return with_unique_ids(items)


def _item(row: Row, counts: Counter[str]) -> JudgedItem | None:
    with row.located():
        cut = cut_at_first_solution(row.get("turns", list))
    if cut is None:
        counts["runs that propose no solution"] += 1
        return None
    if cut.is_last and row.get("terminate_reason", str) == "error":
        counts["runs that broke off before their solution was graded"] += 1
        return None
    dataset = row.get("dataset", str)
    with row.located():
        task = Task.of(row.get("question", str))
    return JudgedItem(
        id=row.get("id", str),
        group=f"{dataset}/{row.get('task_id', int)}",
        part=dataset,
        task=task,
        trajectory=cut.trajectory,
        label=cut.is_last and row.get("success", bool),
    )
