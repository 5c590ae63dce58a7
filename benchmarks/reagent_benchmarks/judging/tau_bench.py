"""tau-bench: customer service under a policy, with tools and a simulated customer (Yao et al., arXiv 2406.12045).

A label is the environment's reward: True when the data base ends in the expected state and the expected facts were
told. It judges the outcome, not the manners, and depends on what the simulated customer happens to say.

What the judge sees: the policy (the agent's system message, under the role "developer", because a judge's record
leaves out system messages and nobody can judge this work without the policy), the customer's first message as the
question, and the conversation with all calls and results. What it does not see: the reward, the customer's
instructions, the expected actions and outputs, and what the customer says after the agent's last message (thanks and
the simulator's stop sign), which the agent never read. The ids of calls are numbered anew.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from reagent_benchmarks.judging.items import JudgedItem, renumbered, trajectory_of, with_unique_ids
from reagent_benchmarks.judging.rows import Row, files_of, read_rows
from reagent_sdk.messages import Message
from reagent_sdk.task import Task

PATTERN = "*trajectories*.jsonl"


def load(folder: str | Path, *, left_out: Counter[str] | None = None) -> list[JudgedItem]:
    """The items of a folder.

    Args:
        folder: with `*trajectories*.jsonl`, or one such file.
        left_out: counts what is left out, by reason.

    Raises:
        InvalidInput: no files, or a malformed row.
    """
    counts = left_out if left_out is not None else Counter[str]()
    items = []
    for file in files_of(Path(folder), PATTERN, "tau_bench"):
        for row in read_rows(file):
            if item := _item(row):
                items.append(item)
            else:
                counts["trials in which the agent said nothing"] += 1
    return with_unique_ids(items)


def _item(row: Row) -> JudgedItem | None:
    messages = list(row.chat(row.get("traj", list)))
    while messages and messages[-1].role == "user":
        messages.pop()  # said after the agent's last message
    asked = next((index for index, message in enumerate(messages) if message.role == "user"), None)
    if asked is None:
        return None
    part = row.file.stem
    with row.located():
        task = Task(question=messages[asked].text, history=tuple(_shown(one) for one in messages[:asked]))
    return JudgedItem(
        id=f"{part}/{row.get('task_id', int)}/{row.get('trial', int)}",
        group=f"{part}/{row.get('task_id', int)}",
        part=part,
        task=task,
        trajectory=trajectory_of(renumbered(messages[asked + 1 :])),
        label=row.chosen("reward", {1.0: True, 0.0: False}),
    )


def _shown(message: Message) -> Message:
    return Message(role="developer", content=message.text) if message.role == "system" else message
