"""How a converter makes a record: what it knows goes in, targets and checks are added here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reagent_sdk.task import Task
from reagent_sdk.trajectory import Trajectory
from reagent_training.data.answers import REFERENCE
from reagent_training.data.record import LabelledTrajectory, LabelSource, StepLabel, as_record
from reagent_training.data.targets import Known, targets


@dataclass(frozen=True)
class Origin:
    """Where records come from.

    Attributes:
        source: name of the data set.
        label_source: who labelled it.
        licence: under which its rows are published.
    """

    source: str
    label_source: LabelSource
    licence: str


@dataclass(frozen=True)
class Work:
    """One piece of work of a data set, with what is known of it.

    Attributes:
        id: unique within the data set.
        group: the question.
        task: what was asked.
        trajectory: what was done.
        correct: whether the answer is right.
        steps: labels of steps.
        scored_labels: labels that the score is made of, where they are not those of `steps`.
        references: the right answers.
        metadata: what else is worth keeping; no judge sees it.
    """

    id: str
    group: str
    task: Task
    trajectory: Trajectory
    correct: bool | None = None
    steps: tuple[StepLabel, ...] = ()
    scored_labels: Sequence[int] | None = None
    references: Sequence[str] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)


def with_targets(origin: Origin, work: Work) -> LabelledTrajectory:
    """A record with the targets that follow from its labels.

    Raises:
        InvalidInput: it is no valid record.
    """
    known = Known(work.correct, work.steps, work.scored_labels, work.references, key=work.id)
    made = targets(work.task, work.trajectory, known)
    told = {"critique_shortened": True} if made.shortened else {}
    return bare(origin, work, analysis=made.analysis, critique=made.critique, score=made.score, told=told)


def bare(origin: Origin, work: Work, *, told: Mapping[str, Any] | None = None, **fields: Any) -> LabelledTrajectory:
    """A record of the work with its labels, and with no other targets than those given.

    Args:
        origin: where it comes from.
        work: the work.
        told: more metadata.
        fields: further fields of the record.

    Raises:
        InvalidInput: it is no valid record.
    """
    reference = {REFERENCE: list(work.references)} if work.references else {}
    name = f"{origin.source}/{work.id}"
    task = work.task.model_copy(update={"id": name})
    data = {
        "id": name,
        "group": work.group,
        "source": origin.source,
        "label_source": origin.label_source,
        "licence": origin.licence,
        "task": task,
        "trajectory": work.trajectory,
        "correct": work.correct,
        "steps": work.steps,
        "metadata": {**work.metadata, **reference, **(told or {})},
        **fields,
    }
    return as_record(data, f"the record made of {name}")
