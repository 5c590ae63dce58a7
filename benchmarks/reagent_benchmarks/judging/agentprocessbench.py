"""AgentProcessBench: tool-calling trajectories with human labels of every step and of the outcome.

A label is the human verdict on the whole trajectory, `final_label`: 1 right, -1 wrong. The labels of the steps are kept
for judges that judge steps.

What the judge sees: the user's request as the agent got it, its format instructions included, the tools on offer, all
messages after the request, and the last one as the answer. What it does not see: `ground_truth`, `answer_text`,
`step_labels`, `final_label`, `tool_metrics` and the indices. `answer_text` is extracted from the last message, so that
nothing is lost with it. The ids of calls are numbered anew: as served they tell the agents apart. A trajectory that
ends with a tool's result has no answer, and the record says so.

The files `*_gold_and_judges.jsonl` hold verdicts of other judges and no trajectories; they are not read.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from reagent_benchmarks.judging.items import (
    JudgedItem,
    group_of,
    renumbered,
    tools_message,
    trajectory_of,
    with_unique_ids,
)
from reagent_benchmarks.judging.rows import Row, files_of, read_rows
from reagent_sdk.messages import Message
from reagent_sdk.task import Task

PATTERN = "*_trajectories.jsonl"


def load(folder: str | Path, *, left_out: Counter[str] | None = None) -> list[JudgedItem]:
    """The items of a folder.

    Args:
        folder: with `*_trajectories.jsonl`, or one such file.
        left_out: counts what is left out, by reason; nothing is.

    Raises:
        InvalidInput: no files, or a malformed row.
    """
    files = files_of(Path(folder), PATTERN, "agentprocessbench")
    return with_unique_ids([_item(row) for file in files for row in read_rows(file)])


def _item(row: Row) -> JudgedItem:
    messages = row.chat(row.get("messages", list))
    asked = next((index for index, message in enumerate(messages) if message.role == "user"), None)
    if asked is None or asked + 1 == len(messages):
        raise row.wrong("the messages must hold a request of the user and work after it")
    source = row.get("data_source", str)
    history: tuple[Message, ...] = messages[:asked]
    if tools := row.get("tools", list):
        history += (tools_message(tools),)
    with row.located():
        task = Task(question=messages[asked].text, history=history)
    return JudgedItem(
        id=f"{source}/{row.get('query_index', int)}/{row.get('sample_index', int)}",
        group=group_of(row.get("question", str)),
        part=source,
        task=task,
        trajectory=trajectory_of(renumbered(messages[asked + 1 :])),
        label=row.chosen("final_label", {1: True, -1: False}),
        steps=_steps(row, asked + 1),
    )


def _steps(row: Row, start: int) -> dict[int, int]:
    """Labels by the index in the work; in the row they count from the first message."""
    steps: dict[int, int] = {}
    for key, label in row.get("step_labels", dict).items():
        if not str(key).isdecimal() or label not in (1, 0, -1):
            raise row.wrong(f'"step_labels" maps indices of messages to 1, 0 or -1, not {key!r} to {label!r}')
        steps[int(key) - start] = int(label)
    return steps
