"""The questions that agents are let loose on: a file of questions and answers, or a folder of generated tasks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from pydantic import JsonValue
from reagent_benchmarks.judging.items import group_of

from reagent_sdk.errors import InvalidInput
from reagent_sdk.task import Task
from reagent_sdk.tools.base import Tool
from reagent_sdk.trajectory import AgentStop, Trajectory
from reagent_training.data import jsonl
from reagent_training.data.card import sha256_of
from reagent_training.sampling.grading import is_right, reference_of
from reagent_training.synth.generate import TASKS, read_tasks
from reagent_training.synth.grading import grade
from reagent_training.synth.record import SynthTask
from reagent_training.synth.toolset import tools_of

_SYNTH_LICENCE = "Apache-2.0"


@dataclass(frozen=True)
class Question:
    """A question with what grades its answers.

    Attributes:
        name: unique in its set.
        group: the question, by the name that converters give it.
        source: name of the rows that are made of it.
        task: what an agent is asked.
        references: the right answers.
        grade: whether a piece of work ends with one of them.
        tools: makes the tools that belong to it; None where it has none of its own.
        licence: of the question.
        metadata: what else is worth keeping; no judge sees it.
    """

    name: str
    group: str
    source: str
    task: Task
    references: tuple[str, ...]
    grade: Callable[[Trajectory], bool]
    tools: Callable[[], Sequence[Tool]] | None = None
    licence: str = ""
    metadata: dict[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True)
class QuestionSet:
    """Questions, and which file they came from.

    Attributes:
        questions: in order.
        inputs: name of the file -> SHA-256.
        with_tools: whether each has tools of its own.
    """

    questions: tuple[Question, ...]
    inputs: dict[str, str]
    with_tools: bool = False


def read_question_set(path: Path, *, limit: int | None = None, source: str | None = None) -> QuestionSet:
    """Reads lines of `{"question": ..., "answer": ...}`, or the tasks of a folder that `reagent data synth` made.

    Args:
        path: the file or the folder.
        limit: only so many, from the beginning.
        source: name of the rows that will be made; by default one after the file.

    Raises:
        InvalidInput: it cannot be read, or a row has no question or no answer; one line that names the row.
    """
    if path.is_dir():
        tasks = read_tasks(path)[:limit]
        questions = tuple(_generated(path, task, source) for task in tasks)
        return QuestionSet(questions, {f"{path.name}/{TASKS}": sha256_of(path / TASKS)}, with_tools=True)
    name = source or f"sampled-{path.name.partition('.')[0]}"
    rows = [
        _asked(row, f"{path}, row {number}", (name, number))
        for number, row in jsonl.read_objects(path)
        if limit is None or number <= limit
    ]
    if not rows:
        raise InvalidInput(f"{path} holds no questions")
    return QuestionSet(tuple(rows), {path.name: sha256_of(path)})


def _asked(row: dict[str, object], where: str, place: tuple[str, int]) -> Question:
    source, number = place
    question = row.get("question")
    if not isinstance(question, str) or not question.strip():
        raise InvalidInput(f'{where}: "question" must be a text that is not empty')
    references = _references(row.get("answer"))
    if not references:
        raise InvalidInput(f'{where}: "answer" must be a text, a number or a list of them, and not empty')
    return Question(
        name=str(number),
        group=group_of(question),
        source=source,
        task=Task(question=question),
        references=references,
        grade=partial(_graded, references),
    )


def _references(given: object) -> tuple[str, ...]:
    listed = given if isinstance(given, list) else [given]
    if any(isinstance(one, bool) or not isinstance(one, str | int | float) for one in listed):
        return ()
    return tuple(dict.fromkeys(text for one in listed if (text := reference_of(str(one)))))


def _graded(references: tuple[str, ...], work: Trajectory) -> bool:
    return is_right(work.answer, references, cut_off=work.stop is AgentStop.TRUNCATED)


def _generated(folder: Path, task: SynthTask, source: str | None) -> Question:
    return Question(
        name=task.id,
        group=task.id,
        source=source or f"sampled-synth-{task.family}",
        task=task.as_task(),
        references=(task.answer, *task.rule.aliases),
        grade=lambda work: grade(work.answer, task),
        tools=lambda: tools_of(folder, task),
        licence=_SYNTH_LICENCE,
        metadata={"template": task.template, "difficulty": task.difficulty, "split": str(task.split)},
    )
