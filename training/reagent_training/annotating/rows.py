"""A row before and after the teacher: what it is asked about, what is known of it, what its reply makes of it."""

from __future__ import annotations

from reagent_sdk.verdict import Verdict, VerdictStatus
from reagent_training.annotating.report import ANNOTATED, LEAKED
from reagent_training.annotating.rubric import Known
from reagent_training.annotating.teacher import TELLS, Teacher
from reagent_training.data.answers import REFERENCE
from reagent_training.data.record import LabelledTrajectory, LabelSource
from reagent_training.sampling.journal import Entry


def has_human_targets(record: LabelledTrajectory) -> bool:
    """Whether people labelled the row and it has a target."""
    given = record.analysis is not None or record.critique is not None or record.score is not None
    return record.label_source is LabelSource.HUMAN and given


def known_of(record: LabelledTrajectory) -> Known:
    """What is known of the row's outcome."""
    given = record.metadata.get(REFERENCE)
    references = tuple(str(one) for one in given) if isinstance(given, list) else ()
    return Known(record.correct, references)


def settled(record: LabelledTrajectory, verdict: Verdict, teacher: Teacher, spec: str) -> Entry:
    """How a row came out. Only a scored verdict that gives nothing away makes a new row.

    Args:
        record: the row.
        verdict: the teacher's.
        teacher: who was asked.
        spec: its name in the row's metadata, without keys.
    """
    if verdict.leaks or verdict.reason == TELLS:
        return Entry(key=record.id, status=LEAKED, reason="the texts give the answer away")
    if verdict.status is not VerdictStatus.SCORED:
        return Entry(key=record.id, status=verdict.status.value, reason=verdict.reason)
    told = {
        "teacher": spec,
        "teacher_prompt": teacher.asked.version,
        "reference_shown": teacher.told,
        "labelled_before": record.label_source.value,
    }
    cut = {"omitted_chars": verdict.omitted_chars} if verdict.omitted_chars else {}
    new = {
        "analysis": verdict.analysis,
        "critique": verdict.critique,
        "score": verdict.score,
        "label_source": LabelSource.TEACHER,
        "metadata": {**record.metadata, **told, **cut},
    }
    return Entry(key=record.id, status=ANNOTATED, row=record.model_copy(update=new))
