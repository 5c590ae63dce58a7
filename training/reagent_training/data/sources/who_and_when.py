"""Who&When: logs of teams of agents that failed, with the agent and the step that decided it, and why.

Every agent's message is a step of the work, under its name, because the judge is to find the step and not the role.
What a terminal printed is a result. Rows that name the step but hold no log (`*_labels.jsonl`) are not read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from reagent_benchmarks.judging.items import group_of
from reagent_benchmarks.judging.rows import Row, files_of, read_rows

from reagent_sdk.messages import Message, assistant, user
from reagent_sdk.task import Task
from reagent_sdk.trajectory import Trajectory
from reagent_training.data.record import LabelledTrajectory, LabelSource, StepLabel
from reagent_training.data.sources.made import Origin, Work, with_targets

WHO_AND_WHEN = Origin("who_and_when", LabelSource.HUMAN, "MIT")
_TERMINAL = "Computer_terminal"


def read_who_and_when(path: Path, left_out: Counter[str]) -> Iterator[LabelledTrajectory]:
    """Failed runs with the decisive step; what comes before it counts as sound, what follows as lost.

    Raises:
        InvalidInput: no files, or a malformed row.
    """
    for file in files_of(path, "*_full.jsonl", "who_and_when"):
        part = file.stem.split("_")[0]
        for row in read_rows(file):
            question, history = row.get("question", str), row.get("history", list)
            messages = tuple(_message(row, said) for said in history)
            place = _place(row, len(messages))
            if messages[place].role != "assistant":
                left_out["failures by a step that is no agent's"] += 1
                continue
            with row.located():
                task, work = Task.of(question), Trajectory.from_openai(messages)
            reason = row.get("mistake_reason", str).strip()
            acting = [index for index, message in enumerate(messages) if message.role == "assistant"]
            yield with_targets(
                WHO_AND_WHEN,
                Work(
                    id=f"{part}/{row.get('question_ID', str)}",
                    group=group_of(question),
                    task=task,
                    trajectory=work,
                    correct=False,
                    steps=(StepLabel(message=place, label=-1, reason=reason),),
                    scored_labels=[1 if index < place else -1 for index in acting],
                    references=[str(row.data["ground_truth"])] if row.data.get("ground_truth") else [],
                    metadata={"part": part, "agent": row.get("mistake_agent", str)},
                ),
            )


def _message(row: Row, said: Any) -> Message:
    if not isinstance(said, Mapping) or not isinstance(said.get("content"), str):
        raise row.wrong('each entry of "history" must be an object with a text "content"')
    name, text = str(said.get("name") or said.get("role") or ""), said["content"]
    if name == "human":
        return user(text)
    if name == _TERMINAL:
        return Message(role="tool", name=name, content=text)
    return assistant(f"{name}: {text}")


def _place(row: Row, steps: int) -> int:
    step = row.get("mistake_step", str)
    if not step.isdecimal() or int(step) >= steps:
        raise row.wrong(f'"mistake_step" must be the index of one of {steps} entries, not {step!r:.40}')
    return int(step)
