"""Held-out success by the form of the question: whether tasks were too easy or too hard to tell arms apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

from reagent_benchmarks.outcomes import ArmResult

from reagent_training.markdown import table
from reagent_training.synth.generate import read_tasks


def forms_of(folder: Path) -> dict[str, str]:
    """Id of each task of a generated set -> the template of its question."""
    return {task.id: task.template for task in read_tasks(folder)}


def by_form(results: Sequence[ArmResult], forms: Mapping[str, str]) -> str:
    """pass@1 over all attempts and seeds, a row for each template and a column for each arm, as a Markdown table.

    Args:
        results: measured rows; `sample` ends in the id of the task.
        forms: id -> template.
    """
    arms = list(dict.fromkeys(row.arm for row in results))
    right: dict[tuple[str, str], list[bool]] = {}
    tasks: dict[str, set[str]] = {}
    for row in results:
        form = forms[row.sample.rpartition("/")[2]]
        right.setdefault((form, row.arm), []).append(row.right is True)
        tasks.setdefault(form, set()).add(row.sample)

    def share(form: str, arm: str) -> str:
        return f"{fmean(right[form, arm]):.3f}" if (form, arm) in right else "-"

    lines = [[form, len(tasks[form]), *(share(form, arm) for arm in arms)] for form in sorted(tasks)]
    return table(["form", "tasks", *arms], lines)
