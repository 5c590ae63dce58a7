"""MINT's paired runs: the same agent on the same task without a critic and with one.

The first attempt is the run without a critic, the revised one the run with GPT-4 as its critic; right means that the
whole run ended in success. A judge is shown the first attempt up to its first proposed solution, without the
environment's answer to it, and never the reference answer. A run that proposes nothing is shown whole: nothing in it
tells what it was worth but the work itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from reagent_benchmarks.judging.items import trajectory_of
from reagent_benchmarks.judging.mint import PATTERN, as_messages, cut_at_first_solution
from reagent_benchmarks.judging.rows import Row, files_of, read_rows
from reagent_sdk.errors import InvalidInput
from reagent_sdk.task import Task
from reagent_sdk.trajectory import Trajectory

ALONE = "none"
CRITIC = "gpt-4-0613"


@dataclass(frozen=True)
class Pair:
    """One agent's two runs on one task.

    Attributes:
        id: of the run without a critic.
        agent: model that solved the task.
        dataset: part of MINT.
        group: the task, the same for all agents.
        task: what the judge is told of it.
        trajectory: the first attempt, as far as a judge may see it.
        first: whether the run without a critic succeeded.
        revised: whether the run with a critic succeeded.
    """

    id: str
    agent: str
    dataset: str
    group: str
    task: Task
    trajectory: Trajectory
    first: bool
    revised: bool


def read_pairs(folder: Path) -> list[Pair]:
    """The pairs in a folder, in the order of its files; runs without a partner are left out.

    Raises:
        InvalidInput: no files of MINT, a malformed row, or no pair.
    """
    runs: dict[tuple[str, str, int], dict[str, Row]] = {}
    for file in files_of(folder, PATTERN, "mint"):
        for row in read_rows(file):
            key = (row.get("agent", str), row.get("dataset", str), row.get("task_id", int))
            runs.setdefault(key, {})[row.get("critic", str)] = row
    pairs = list(_paired(runs))
    if not pairs:
        raise InvalidInput(f"{folder} holds no task that an agent solved without a critic and with {CRITIC}")
    return pairs


def first_attempt(row: Row) -> Trajectory:
    """A run as far as a judge may see it.

    Raises:
        InvalidInput: a malformed row.
    """
    with row.located():
        turns = row.get("turns", list)
        cut = cut_at_first_solution(turns)
        return cut.trajectory if cut is not None else trajectory_of(as_messages(turns))


def _paired(runs: dict[tuple[str, str, int], dict[str, Row]]) -> Iterator[Pair]:
    for (agent, dataset, number), by_critic in runs.items():
        if ALONE in by_critic and CRITIC in by_critic:
            alone = by_critic[ALONE]
            with alone.located():
                task = Task.of(alone.get("question", str))
            yield Pair(
                id=alone.get("id", str),
                agent=agent,
                dataset=dataset,
                group=f"{dataset}/{number}",
                task=task,
                trajectory=first_attempt(alone),
                first=alone.get("success", bool),
                revised=by_critic[CRITIC].get("success", bool),
            )
