"""Who&When: logs of teams of agents that failed, with the step that decided it (Zhang et al., arXiv 2505.00212).

A label is the decisive step: the earliest one whose repair would have saved the work, as people found. All work is
wrong, so scores of whole logs cannot be measured on it; labels of steps can.

What the judge sees: the question, and every agent's message as a step of the work, under the agent's name, because the
judge is to find the step and not the agent. What a terminal printed is a result. What it does not see: `ground_truth`,
`is_correct`, `level` and everything about the mistake. Rows that name the step but hold no log (`*_labels.jsonl`) are
not read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reagent_benchmarks.judging.items import JudgedItem, group_of, trajectory_of, with_unique_ids
from reagent_benchmarks.judging.rows import Row, files_of, read_rows
from reagent_sdk.messages import Message, assistant, user
from reagent_sdk.task import Task

PATTERN = "*_full.jsonl"
NO_AGENT = "failures by a step that is no agent's"
_TERMINAL = "Computer_terminal"


def load(folder: str | Path, *, left_out: Counter[str] | None = None) -> list[JudgedItem]:
    """The items of a folder.

    Args:
        folder: with `*_full.jsonl`, or one such file.
        left_out: counts what is left out, by reason.

    Raises:
        InvalidInput: no files, or a malformed row.
    """
    counts = left_out if left_out is not None else Counter[str]()
    items = []
    for file in files_of(Path(folder), PATTERN, "who_and_when"):
        for row in read_rows(file):
            messages = messages_of(row)
            place = decisive_step(row, len(messages))
            if messages[place].role != "assistant":
                counts[NO_AGENT] += 1
                continue
            items.append(_item(row, messages, place))
    return with_unique_ids(items)


def _item(row: Row, messages: tuple[Message, ...], place: int) -> JudgedItem:
    question, part = row.get("question", str), row.file.stem.split("_")[0]
    with row.located():
        task, work = Task.of(question), trajectory_of(messages)
    return JudgedItem(
        id=f"{part}/{row.get('question_ID', str)}",
        group=group_of(question),
        part=part,
        task=task,
        trajectory=work,
        label=False,
        steps={place: -1},
    )


def messages_of(row: Row) -> tuple[Message, ...]:
    """The log as messages, one for each entry.

    Raises:
        InvalidInput: an entry is malformed.
    """
    return tuple(_message(row, said) for said in row.get("history", list))


def decisive_step(row: Row, count: int) -> int:
    """Index of the decisive step among `count` entries.

    Raises:
        InvalidInput: the row names none of them.
    """
    step = row.get("mistake_step", str)
    if not step.isdecimal() or int(step) >= count:
        raise row.wrong(f'"mistake_step" must be the index of one of {count} entries, not {step!r:.40}')
    return int(step)


def _message(row: Row, said: Any) -> Message:
    if not isinstance(said, Mapping) or not isinstance(said.get("content"), str):
        raise row.wrong('each entry of "history" must be an object with a text "content"')
    name, text = str(said.get("name") or said.get("role") or ""), said["content"]
    if name == "human":
        return user(text)
    if name == _TERMINAL:
        return Message(role="tool", name=name, content=text)
    return assistant(f"{name}: {text}")
