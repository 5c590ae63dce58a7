"""MINT: first solutions of agents that worked alone, and the real critiques of agents that had a critic.

First solutions are the items of `reagent bench judge`. A critique is kept with the work that it was said of and with
what came of it. Left out of that work: earlier critiques, and everything once a solution was proposed, because the
environment's answer to it would tell the label. What the critic says first ("This is GOOD.") is taken off, since it is
a verdict and no advice; it is kept in the metadata.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reagent_benchmarks.judging import mint
from reagent_benchmarks.judging.items import NO_ANSWER, group_of
from reagent_benchmarks.judging.rows import Row, files_of, read_rows

from reagent_sdk.messages import Message
from reagent_sdk.task import Task
from reagent_sdk.trajectory import Trajectory
from reagent_training.data.record import LabelledTrajectory, LabelSource
from reagent_training.data.sources.made import Origin, Work, bare, with_targets
from reagent_training.data.targets import Known, targets
from reagent_training.data.wording import one_line

FIRST_SOLUTIONS = Origin("mint", LabelSource.OUTCOME, "Apache-2.0")
CRITIQUES = Origin("mint_critiques", LabelSource.TEACHER, "Apache-2.0")

_FORMAT = re.compile(r"\s*Solution output format:.*\Z", re.DOTALL)
_VERDICT = re.compile(r"\A[\s*]*This is (?P<bad>NOT )?(?P<said>GOOD|CORRECT|INCORRECT|BAD|WRONG)\b[\s.,:!*-]*", re.I)
_WORDLESS = 12


@dataclass(frozen=True)
class _Run:
    """A run with a critic, and whether the same agent solved the task alone."""

    row: Row
    group: str
    alone: bool | None

    @property
    def effect(self) -> str:
        """What the critic did to the outcome."""
        success = self.row.get("success", bool)
        if self.alone is None:
            return "unknown"
        return "fixed" if success and not self.alone else "broken" if self.alone and not success else "none"


def read_mint(path: Path, left_out: Counter[str]) -> Iterator[LabelledTrajectory]:
    """First solutions, graded by the environment; after them the critiques of all runs that had a critic.

    Raises:
        InvalidInput: no files, or a malformed row.
    """
    counts = Counter[str]()
    items = mint.load(path, left_out=counts)
    counts.pop("runs with a critic", None)
    left_out.update(counts)
    rows = [row for file in files_of(path, mint.PATTERN, "mint") for row in read_rows(file)]
    by_id = {row.get("id", str): row for row in rows}
    for item in items:
        row = by_id[item.id]
        about = {"part": item.part, "agent": row.get("agent", str)}
        references = _references(row)
        group = _group(row)
        work = Work(item.id, group, item.task, item.trajectory, item.label, references=references, metadata=about)
        yield with_targets(FIRST_SOLUTIONS, work)
    yield from _critiques(rows, left_out)


def _critiques(rows: Sequence[Row], left_out: Counter[str]) -> Iterator[LabelledTrajectory]:
    alone = {_task_of(row): row.get("success", bool) for row in rows if row.get("critic", str) in mint.NO_CRITIC}
    for row in rows:
        if row.get("critic", str) in mint.NO_CRITIC:
            continue
        run = _Run(row, _group(row), alone.get(_task_of(row)))
        turns = row.get("turns", list)
        for place, turn in enumerate(turns):
            if turn.get("role") == "critique":
                made = _critique(run, turns, place, left_out)
                if made is not None:
                    yield made


def _critique(
    run: _Run, turns: Sequence[Mapping[str, Any]], place: int, left_out: Counter[str]
) -> LabelledTrajectory | None:
    """One critique with the work before it; None when there is nothing to learn from or it would tell the label."""
    row, before = run.row, [turn for turn in turns[:place] if turn.get("role") != "critique"]
    with row.located():
        task, cut = Task.of(row.get("question", str)), mint.cut_at_first_solution(before)
        work = cut.trajectory if cut else _unfinished(mint.as_messages(before))
    if cut is not None and (not cut.is_last or any(turn.get("role") == "assistant" for turn in before[cut.turn + 1 :])):
        left_out["critiques after a solution that was answered"] += 1
        return None
    whole = str(turns[place].get("content", "")).strip()
    verdict = _VERDICT.match(whole)
    said = whole[verdict.end() :] if verdict else whole
    if len(said) < _WORDLESS or not any(message.text.strip() or message.tool_calls for message in work.messages):
        left_out["critiques that say nothing but a verdict"] += 1
        return None
    good = None if verdict is None else (verdict["said"].upper() in ("GOOD", "CORRECT")) != bool(verdict["bad"])
    about = {
        "part": row.get("dataset", str),
        "agent": row.get("agent", str),
        "critic": row.get("critic", str),
        "critic_said_good": good,
        "critique_whole": whole,
        "succeeded_after": row.get("success", bool),
        "succeeded_alone": run.alone,
        "effect": run.effect,
    }
    correct = False if cut is not None else None  # a right solution ends the run, and nobody criticises it
    made = Work(
        f"{row.get('id', str)}#{place}", run.group, task, work, correct, references=_references(row), metadata=about
    )
    checked = targets(task, work, Known(correct, key=made.id))
    return bare(CRITIQUES, made, critique=one_line(said), analysis=checked.analysis, score=checked.score)


def _unfinished(messages: tuple[Message, ...]) -> Trajectory:
    return Trajectory(messages=messages, answer=NO_ANSWER)


def _group(row: Row) -> str:
    """The question without the note on formats, so that it is the same question as in other sets."""
    return group_of(_FORMAT.sub("", row.get("question", str)))


def _task_of(row: Row) -> tuple[str, str, int]:
    return row.get("agent", str), row.get("dataset", str), row.get("task_id", int)


def _references(row: Row) -> list[str]:
    reference = row.data.get("reference")
    listed = reference if isinstance(reference, list) else [reference]
    return [str(answer) for answer in listed if isinstance(answer, str | int | float)]
