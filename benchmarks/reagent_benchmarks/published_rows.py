"""The rows of AgentProcessBench that hold published verdicts: human labels, and what each of its judges said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from reagent_benchmarks.judging.rows import Row, files_of, read_rows
from reagent_sdk.errors import InvalidInput

PATTERN = "*_gold_and_judges.jsonl"
LABELS = (1, 0, -1)


class Labels(NamedTuple):
    """What somebody says of a trajectory: 1 good, 0 neutral, -1 bad, of each of its steps and of its outcome.

    None is a step that a judge left without a label, which counts as a wrong one.
    """

    steps: tuple[int | None, ...]
    final: int

    @property
    def failed(self) -> bool:
        """Whether no step has a label: the judge gave no verdict that could be read."""
        return all(label is None for label in self.steps)


class Judged(NamedTuple):
    """A trajectory with its human labels, and what each judge said of it."""

    group: str
    gold: Labels
    said: Mapping[str, Labels]


def read_judged(folder: Path) -> list[Judged]:
    """The trajectories of all parts.

    Raises:
        InvalidInput: no files, a malformed row, or rows of different judges.
    """
    files = files_of(folder, PATTERN, "agentprocessbench")
    rows = [(row, _judged(row)) for file in files for row in read_rows(file)]
    if not rows:
        raise InvalidInput(f"{folder} holds no verdicts")
    judges = rows[0][1].said.keys()
    for row, one in rows:
        if one.said.keys() != judges:
            raise row.wrong(f"verdicts of {len(one.said)} judges, other ones than the {len(judges)} of the first row")
    return [one for _, one in rows]


def _judged(row: Row) -> Judged:
    gold = _labels(row, row.get("gold_steps", list), row.data.get("gold_final"), LABELS)
    said = {}
    for name, verdict in row.get("judges", dict).items():
        if not isinstance(verdict, dict):
            raise row.wrong(f"the verdict of {name} must be an object")
        said[str(name)] = _labels(row, verdict.get("s"), verdict.get("f"), (*LABELS, None))
    if any(len(one.steps) != len(gold.steps) for one in said.values()):
        raise row.wrong(f"each judge must label {len(gold.steps)} steps")
    return Judged(row.get("record_id", str).rpartition(":")[0], gold, said)


def _labels(row: Row, steps: object, final: object, allowed: Sequence[int | None]) -> Labels:
    if not isinstance(steps, list) or final not in LABELS or any(label not in allowed for label in steps):
        raise row.wrong(f"labels of steps and of the outcome must be 1, 0 or -1, not {steps!r:.80} and {final!r:.20}")
    return Labels(tuple(steps), int(final))
