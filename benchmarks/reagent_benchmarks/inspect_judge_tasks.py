"""Sets of labelled work as tasks of inspect_ai: `inspect eval reagent_benchmarks/judge_mint -T data=DIR`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from reagent_adapters.versions import require

from reagent_benchmarks.judging.datasets import DataSet, load
from reagent_benchmarks.judging.sample import sampled
from reagent_sdk.errors import InvalidInput

require("inspect-ai", "benchmarks")

from inspect_ai import Task, task  # noqa: E402
from inspect_ai.dataset import MemoryDataset  # noqa: E402

from reagent_benchmarks.judging.inspect_judging import figures, judged, samples_of, score  # noqa: E402
from reagent_benchmarks.running.registering import registered  # noqa: E402

_STEPS_ONLY = "who_and_when"
"""All of its work is wrong: nothing to tell apart by one score for the whole."""


def judge_task(
    dataset: DataSet,
    data: str | None = None,
    judge: str | None = None,
    items: int | None = None,
    seed: int = 0,
    max_chars: int | None = None,
) -> Task:
    """A set of labelled work as a task.

    Args:
        dataset: which one.
        data: the folder with its files, the folder above it, or one of the files.
        judge: a spec or a Judge; None means `$REAGENT_JUDGE`, else the embedded local judge.
        items: how many to draw, by question (pairs, where there are pairs); by default all.
        seed: of the draw, the order, the frame codes and the intervals.
        max_chars: room for a record; by default the judge's own.

    Raises:
        InvalidInput: no data, or something else of these cannot work.
        WeightsUnavailable: local weights are missing.
    """
    if data is None:
        raise InvalidInput(f"the data of {dataset} are not part of this package: pass -T data=DIR")
    if items is not None and items < 1:
        raise InvalidInput(f"items is {items}; draw at least 1")
    loaded = load(dataset, Path(data).expanduser())
    chosen = sampled(loaded.items, items, seed)
    if not chosen:
        raise InvalidInput(f"{data} holds nothing to judge: {loaded.left_out or 'the files are empty'}")
    return Task(
        dataset=MemoryDataset(samples_of(chosen), name=dataset.value),
        solver=judged(judge, seed, max_chars),
        scorer=score(),
        metrics=[figures(seed)],
        fail_on_error=True,
        continue_on_fail=True,
        score_on_error=True,
    )


def _task(dataset: DataSet) -> Callable[..., Task]:
    @registered(lambda full: task(name=full), f"judge_{dataset.value}")
    def made(
        data: str | None = None,
        judge: str | None = None,
        items: int | None = None,
        seed: int = 0,
        max_chars: int | None = None,
    ) -> Task:
        return judge_task(dataset, data, judge, items, seed, max_chars)

    made.__doc__ = f"A judge on {dataset.value}: how well its scores tell right from wrong work."
    return made


JUDGE_TASKS = {dataset.value: _task(dataset) for dataset in DataSet if dataset.value != _STEPS_ONLY}
"""The tasks by the name of their set."""
