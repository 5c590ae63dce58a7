"""Runs of this SDK: the chosen attempt of each, labelled by a file of labels or by the task's metadata.

A run's verdicts are kept in the metadata and are no targets: a judge does not learn from its own scores.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from reagent_benchmarks.judging.items import group_of

from reagent_sdk.calibration.labels import Label, read_labels
from reagent_sdk.errors import InvalidInput
from reagent_sdk.messages import assistant
from reagent_sdk.record import RunLog
from reagent_sdk.run import Run
from reagent_sdk.trajectory import Trajectory
from reagent_training.data.record import LabelledTrajectory, LabelSource
from reagent_training.data.sources.made import Origin, Work, bare

RUN_LOG = Origin("run_log", LabelSource.OUTCOME, "")
LABEL = "label"
"""Key of a task's metadata: true or 1 for right, false or 0 for wrong."""
GROUP = "group"


def read_run_log(path: Path, left_out: Counter[str], labels: Path | None = None) -> Iterator[LabelledTrajectory]:
    """Runs with a label; the score is not set.

    Args:
        path: the run log.
        left_out: counts what is left out, by reason.
        labels: lines of `{"id": RUN, "label": true or false}`, with "group" and "revised_label" where they are known;
            they win over the task's metadata.

    Raises:
        InvalidInput: there is no such file, a line of it is damaged, or a label is malformed.
    """
    if not path.is_file():
        raise InvalidInput(f"there is no run log {path}")
    given = read_labels(labels) if labels is not None else {}
    unseen = set(given)
    for entry in RunLog(path).scan():
        if not isinstance(entry, Run):
            raise InvalidInput(f"{path}, row {entry.line}: not a run that this release reads ({entry.reason:.200})")
        unseen.discard(entry.id)
        if entry.best is None:
            left_out["runs without an attempt"] += 1
        elif (label := given.get(entry.id) or _own_label(entry, path)) is None:
            left_out["runs without a label"] += 1
        else:
            yield _record(entry, label)
    if unseen:
        left_out["labels without a run"] += len(unseen)


def _record(run: Run, label: Label) -> LabelledTrajectory:
    best = run.best
    if best is None:
        raise InvalidInput(f"run {run.id} has no attempt")
    trajectory = best.trajectory
    if not any(message.text.strip() or message.tool_calls for message in trajectory.messages):
        said = (assistant(trajectory.answer),)  # an agent that gave nothing but its answer
        trajectory = Trajectory(messages=said, answer=trajectory.answer, stop=trajectory.stop, usage=trajectory.usage)
    about: dict[str, Any] = {"attempts": len(run.attempts), "chosen": run.chosen}
    if label.revised is not None:
        about["revised_right"] = label.revised
    if (verdict := best.verdict) is not None:
        about["verdict"] = {"judge": verdict.judge, "score": verdict.score, "critique": verdict.critique}
    group = label.group or str(run.task.metadata.get(GROUP) or group_of(run.task.question))
    work = Work(run.id, group, run.task, trajectory, label.right, metadata=about)
    return bare(RUN_LOG, work)


def _own_label(run: Run, path: Path) -> Label | None:
    metadata: Mapping[str, Any] = run.task.metadata
    label = metadata.get(LABEL)
    if label is None:
        return None
    if not isinstance(label, bool | int) or label not in (0, 1):
        raise InvalidInput(f'{path}, run {run.id}: the task\'s "{LABEL}" must be true or false, not {label!r:.40}')
    return Label(bool(label))
