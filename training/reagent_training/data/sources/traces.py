"""MR-GSM8K, BIG-Bench-Mistake and RealCritic: worked solutions without tools, with the first error or the outcome."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from reagent_benchmarks.judging.items import NO_ANSWER, group_of
from reagent_benchmarks.judging.rows import Row, files_of, read_rows

from reagent_sdk.messages import Message, assistant
from reagent_sdk.task import Task
from reagent_sdk.trajectory import Trajectory
from reagent_training.data.record import LabelledTrajectory, LabelSource, StepLabel
from reagent_training.data.sources.made import Origin, Work, with_targets

MR_GSM8K = Origin("mr_gsm8k", LabelSource.HUMAN, "MIT")
BIG_BENCH_MISTAKE = Origin("big_bench_mistake", LabelSource.HUMAN, "Apache-2.0")
REALCRITIC = Origin("realcritic", LabelSource.OUTCOME, "MIT")

_VERDICTS = {"correct": True, "wrong": False}
_NUMBERED = re.compile(r"\A\s*Step \d+:\s*")
_RESULT = re.compile(r"####\s*(\S.*)")


def read_mr_gsm8k(path: Path, left_out: Counter[str]) -> Iterator[LabelledTrajectory]:
    """Solutions with the first error and its reason by people. The models' critiques of one solution share its record.

    Raises:
        InvalidInput: no files, or a malformed row.
    """
    solutions: dict[str, list[Row]] = {}
    for file in files_of(path, "*.jsonl", "mr_gsm8k_critiques"):
        for row in read_rows(file):
            solutions.setdefault(row.get("uuid", str), []).append(row)
    for uuid, rows in solutions.items():
        row, steps = rows[0], _texts(rows[0])
        error = row.get("first_error_step", int) - 1
        if not 0 <= error < len(steps):
            raise row.wrong(f'"first_error_step" must be one of the {len(steps)} steps, not {error + 1}')
        critiques = [{name: one.data.get(name) for name in ("critic", "critique", "critique_ok")} for one in rows]
        left_out["further critiques of a solution, kept in its metadata"] += len(rows) - 1
        work = Work(
            id=uuid,
            group=group_of(row.get("question", str)),
            task=_task(row, "question"),
            trajectory=_traced(steps),
            correct=_verdict(row, "answer_ok"),
            steps=_first_error(error, str(row.data.get("first_error_reason") or "")),
            scored_labels=_from_error(error, len(steps)),
            metadata={"part": row.get("question_type", str), "critiques": critiques},
        )
        yield with_targets(MR_GSM8K, work)


def read_big_bench_mistake(path: Path, left_out: Counter[str]) -> Iterator[LabelledTrajectory]:
    """Traces with the first mistake by people; a right answer in spite of a mistake is a lucky one.

    Raises:
        InvalidInput: no files, or a malformed row.
    """
    for file in files_of(path, "*.jsonl", "big_bench_mistake"):
        for row in read_rows(file):
            answer, target = str(row.data.get("answer") or NO_ANSWER), row.get("target", str)
            correct, steps = answer.split() == target.split(), row.get("steps", list)
            error = row.data.get("mistake_index")
            if error is not None and not (isinstance(error, int) and 0 <= error < len(steps)):
                raise row.wrong(f'"mistake_index" must be null or the index of a step, not {error!r:.40}')
            if error is None and not correct:
                left_out["traces without a mistake and with a wrong answer"] += 1
                continue
            labels = (
                tuple(StepLabel(message=place, label=1) for place in range(len(steps)))
                if error is None
                else _first_error(error, "")
            )
            work = Work(
                id=f"{file.stem}/{row.line}",
                group=group_of(row.get("input", str)),
                task=_task(row, "input"),
                trajectory=_traced([str(step) for step in steps], answer),
                correct=correct,
                steps=labels,
                scored_labels=None if error is None else _from_error(error, len(steps)),
                references=[target],
                metadata={"part": file.stem},
            )
            yield with_targets(BIG_BENCH_MISTAKE, work)


def read_realcritic(path: Path, left_out: Counter[str]) -> Iterator[LabelledTrajectory]:
    """Solutions of which only the outcome is known.

    Raises:
        InvalidInput: no files, or a malformed row.
    """
    for file in files_of(path, "*.jsonl", "realcritic"):
        for row in read_rows(file):
            outcome = row.get("previous_score", list)
            if len(outcome) != 1 or not isinstance(outcome[0], bool):
                raise row.wrong('"previous_score" must hold one truth value')
            solution, answer = row.get("reasoning", str).strip(), str(row.data.get("pred", "")).strip()
            if not solution:
                left_out["empty solutions"] += 1
                continue
            work = Work(
                id=f"{file.stem}/{row.get('idx', int)}",
                group=group_of(row.get("question", str)),
                task=_task(row, "question"),
                trajectory=Trajectory(messages=(assistant(solution),), answer=answer or solution),
                correct=outcome[0],
                references=[str(row.data["gt"])] if row.data.get("gt") not in (None, "") else [],
                metadata={"part": file.stem, "agent": str(row.data.get("model", ""))},
            )
            yield with_targets(REALCRITIC, work)


def _traced(steps: Sequence[str], answer: str | None = None) -> Trajectory:
    """A solution with a message for each step, so that a label names one of them."""
    messages: tuple[Message, ...] = tuple(assistant(step) for step in steps)
    result = _RESULT.search(steps[-1])
    return Trajectory(messages=messages, answer=answer or (result[1].strip() if result else steps[-1]))


def _texts(row: Row) -> list[str]:
    steps = [_NUMBERED.sub("", str(step)) for step in row.get("steps", list)]
    if not steps:
        raise row.wrong('"steps" is empty')
    return steps


def _task(row: Row, key: str) -> Task:
    with row.located():
        return Task.of(row.get(key, str))


def _verdict(row: Row, key: str) -> bool:
    said = row.get(key, str)
    if said not in _VERDICTS:
        raise row.wrong(f'"{key}" must be correct or wrong, not {said!r:.40}')
    return _VERDICTS[said]


def _first_error(error: int, reason: str) -> tuple[StepLabel, ...]:
    """Labels up to the first error; what comes after it builds on it and has none of its own."""
    sound = (StepLabel(message=place, label=1) for place in range(error))
    return (*sound, StepLabel(message=error, label=-1, reason=reason.strip()))


def _from_error(error: int, steps: int) -> list[int]:
    return [1] * error + [-1] * (steps - error)
