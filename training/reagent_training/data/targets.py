"""Targets for supervised training (analysis, critique, score) from what a data set knows of a piece of work."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from reagent_benchmarks.judging.items import NO_ANSWER

from reagent_sdk.task import Task
from reagent_sdk.trajectory import Trajectory
from reagent_training.data.answers import gives_away
from reagent_training.data.quality import process_score
from reagent_training.data.record import StepLabel
from reagent_training.data.signs import mess, read_signs
from reagent_training.data.wording import Findings, analysis, critique

_EAST_ASIAN = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


@dataclass(frozen=True)
class Known:
    """What a data set knows of a piece of work.

    Attributes:
        correct: whether the answer is right.
        steps: labels of steps and their reasons.
        scored_labels: labels that the score is made of, where they are not those of `steps`: after a first error, all
            that builds on it counts as wrong.
        references: the right answers.
        key: chooses between phrasings.
    """

    correct: bool | None
    steps: tuple[StepLabel, ...] = ()
    scored_labels: Sequence[int] | None = None
    references: Sequence[str] = field(default=())
    key: str = ""


@dataclass(frozen=True)
class Targets:
    """What a judge should write. `shortened`: the critique goes without sentences that gave the answer away."""

    analysis: str
    critique: str
    score: float | None
    shortened: bool = False


def targets(task: Task, trajectory: Trajectory, known: Known) -> Targets:
    """The targets for a piece of work.

    The reasons that people gave are used in their words. Sentences that give the answer away stay out of the critique;
    when none is left, the step is named without a reason.
    """
    signs = read_signs(task, trajectory)
    labels: Mapping[int, int] = {step.message: step.label for step in known.steps}
    reasons = {step.message: step.reason for step in known.steps if _usable(step.reason, task.question)}
    answered = trajectory.answer.strip() not in ("", NO_ANSWER)
    found = Findings(signs, known.correct, labels, reasons, answered, known.key)
    advice = critique(found)
    shortened = bool(gives_away(advice, task, trajectory, known.references))
    if shortened:
        fair = {place: _fair(reason, task, trajectory, known.references) for place, reason in reasons.items()}
        advice = critique(replace(found, reasons={place: reason for place, reason in fair.items() if reason}))
    scored = tuple(labels.values()) if known.scored_labels is None else known.scored_labels
    score = process_score(known.correct, scored, mess=mess(signs))
    return Targets(analysis(found), advice, score, shortened)


def _fair(reason: str, task: Task, trajectory: Trajectory, references: Sequence[str]) -> str:
    """The sentences of a reason that give nothing away."""
    sentences = re.split(r"(?<=[.!?])\s+", reason)
    return " ".join(one for one in sentences if not gives_away(one, task, trajectory, references))


def _usable(reason: str, question: str) -> bool:
    """Whether a reason says something in the question's script: annotators sometimes write in their own language."""
    return bool(reason.strip()) and (not _EAST_ASIAN.search(reason) or bool(_EAST_ASIAN.search(question)))
