"""Who&When: logs of teams of agents that failed, with the agent and the step that decided it, and why.

The logs are read as for the benchmark of judges, see :mod:`reagent_benchmarks.judging.who_and_when`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from reagent_benchmarks.judging.items import group_of
from reagent_benchmarks.judging.rows import files_of, read_rows
from reagent_benchmarks.judging.who_and_when import NO_AGENT, PATTERN, decisive_step, messages_of

from reagent_sdk.task import Task
from reagent_sdk.trajectory import Trajectory
from reagent_training.data.record import LabelledTrajectory, LabelSource, StepLabel
from reagent_training.data.sources.made import Origin, Work, with_targets

WHO_AND_WHEN = Origin("who_and_when", LabelSource.HUMAN, "MIT")


def read_who_and_when(path: Path, left_out: Counter[str]) -> Iterator[LabelledTrajectory]:
    """Failed runs with the decisive step; what comes before it counts as sound, what follows as lost.

    Raises:
        InvalidInput: no files, or a malformed row.
    """
    for file in files_of(path, PATTERN, "who_and_when"):
        part = file.stem.split("_")[0]
        for row in read_rows(file):
            question, messages = row.get("question", str), messages_of(row)
            place = decisive_step(row, len(messages))
            if messages[place].role != "assistant":
                left_out[NO_AGENT] += 1
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
