"""Judges side by side on held-out labelled work, beside a constant and a bag of words fitted on the same rows."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from reagent_benchmarks.judging.figures import measure
from reagent_benchmarks.judging.items import JudgedItem
from reagent_benchmarks.judging.judges import bench_judges
from reagent_benchmarks.judging.resume import earlier_ids, read_verdicts
from reagent_benchmarks.judging.runner import judge_missing

from reagent_sdk.calibration.baselines import words_model
from reagent_sdk.calibration.card import Estimate
from reagent_sdk.errors import ReagentError
from reagent_sdk.frozen import Frozen
from reagent_sdk.rendering import render_record
from reagent_sdk.verdict import Verdict

TOGETHER = "all outcomes together"


class Line(Frozen):
    """One judge or baseline on one source.

    Attributes:
        judge: its label in the table.
        source: the data set.
        n: rows that it scored, of `rows`.
        figures: metric -> value with its interval.
        seconds: mean for each verdict; None for baselines.
        statuses: verdict status -> count; empty for baselines.
        leaks: critiques that give an answer away.
    """

    judge: str
    source: str
    n: int
    rows: int
    figures: dict[str, Estimate]
    seconds: float | None = None
    statuses: dict[str, int] = Field(default_factory=dict)
    leaks: int = 0


def room_of(spec: str) -> int:
    """Characters of a record that a judge reads: the baselines read no more.

    Raises:
        InvalidInput: an unknown spec.
        WeightsUnavailable: local weights are missing.
    """
    return bench_judges(spec, seed=0, repeats=1, max_chars=None)[0].room


def baselines(train: Sequence[JudgedItem], test: Sequence[JudgedItem], *, room: int, seed: int) -> list[Line]:
    """Constant and bag of words, fitted on `train` source by source and measured on `test`; see :func:`parts`."""
    guesses: dict[str, dict[str, float]] = {"constant": {}, "bag of words": {}}
    for source, items in _by_source(test).items():
        known = [item for item in train if item.part == source]
        labels = np.array([item.label for item in known])
        if not known or labels.all() or not labels.any():
            continue
        texts, asked = ([_text(item, room) for item in some] for some in (known, items))
        said = words_model().fit(texts, labels).predict_proba(asked)[:, 1]
        for item, guess in zip(items, said, strict=True):
            guesses["constant"][item.id], guesses["bag of words"][item.id] = float(labels.mean()), float(guess)
    lines = []
    for source, items in parts([item for item in test if item.id in guesses["constant"]]).items():
        for name, of in guesses.items():
            figures = measure(items, np.array([of[item.id] for item in items]), seed=seed)
            lines.append(Line(judge=name, source=source, n=len(items), rows=len(items), figures=figures))
    return lines


def parts(items: Sequence[JudgedItem]) -> Mapping[str, list[JudgedItem]]:
    """What is measured: each source, and, where several have outcomes, these together.

    Preference pairs have no outcomes. Where sources differ in their share of right work, the figures of ranking of all
    together also count the order of sources.
    """
    found = _by_source(items)
    told = [source for source, some in found.items() if not any(item.pair for item in some)]
    if len(told) > 1:
        found[TOGETHER] = [item for source in told for item in found[source]]
    return found


async def judged(
    spec: str, label: str, items: Sequence[JudgedItem], folder: Path, *, seed: int, free: bool = False
) -> list[Line]:
    """A judge's lines. Verdicts are kept in `folder` one by one; what is there already is not asked for again.

    Args:
        spec: the judge.
        label: what it is called in the table and in the names of files.
        items: held out.
        folder: takes the verdicts.
        seed: of the frame codes and of the intervals.
        free: let it write without a grammar, once for each item.

    Raises:
        InvalidInput: an unknown judge, or a folder with verdicts of another judge under this label.
        ReagentError: the judge was unavailable from the beginning.
    """
    [(judge, _)] = bench_judges(spec, seed=seed, repeats=1, max_chars=None, free=free)
    sidecar = folder / f"{_file_name(label)}{'.free' if free else ''}.verdicts.jsonl"
    try:
        known = earlier_ids(sidecar, judge.name)
        if not await judge_missing([judge], items, sidecar, known, 1):
            raise ReagentError(f"the judge {label} ({spec}) is unavailable: no verdict came")
    finally:
        await judge.aclose()
    verdicts = read_verdicts(sidecar)
    return [
        _line(label, source, some, [verdicts[item.id] for item in some], seed) for source, some in parts(items).items()
    ]


def _line(label: str, source: str, items: Sequence[JudgedItem], verdicts: Sequence[Verdict], seed: int) -> Line:
    scores: NDArray[np.float64] = np.array([np.nan if one.score is None else one.score for one in verdicts])
    statuses: dict[str, int] = {}
    for one in verdicts:
        statuses[one.status.value] = statuses.get(one.status.value, 0) + 1
    timed = [one.usage.seconds for one in verdicts if one.usage.seconds]
    return Line(
        judge=label,
        source=source,
        n=int((~np.isnan(scores)).sum()),
        rows=len(items),
        figures=measure(items, scores, seed=seed) if (~np.isnan(scores)).any() else {},
        seconds=sum(timed) / len(timed) if timed else None,
        statuses=statuses,
        leaks=sum(bool(one.leaks) for one in verdicts),
    )


def _by_source(items: Sequence[JudgedItem]) -> dict[str, list[JudgedItem]]:
    found: dict[str, list[JudgedItem]] = {}
    for item in items:
        found.setdefault(item.part, []).append(item)
    return found


def _text(item: JudgedItem, room: int) -> str:
    return render_record(item.task, item.trajectory, max_chars=room).text


def _file_name(label: str) -> str:
    if label.replace("-", "").replace("_", "").isalnum():
        return label
    return hashlib.sha256(label.encode()).hexdigest()[:12]
