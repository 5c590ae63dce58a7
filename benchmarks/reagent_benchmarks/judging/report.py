"""The result of a benchmark: all figures, counts and scores, and no texts."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev
from typing import Any

import numpy as np
from numpy.typing import NDArray

import reagent_sdk
from reagent_benchmarks.judging.datasets import Loaded
from reagent_benchmarks.judging.figures import measure
from reagent_benchmarks.judging.items import JudgedItem
from reagent_benchmarks.judging.lines import baseline_lines, judge_lines
from reagent_benchmarks.judging.resume import Plan
from reagent_benchmarks.judging.steps import constant_lines, only_failures, said_of, step_report
from reagent_sdk.verdict import Verdict

NO_STEPS = "this judge was asked for one score for the whole trajectory and for no labels of steps (--steps)"


@dataclass(frozen=True)
class Evidence:
    """What a result is made of.

    Attributes:
        plan: what was asked for.
        loaded: the whole data set.
        items: what was judged, [n].
        heard: its verdicts, [n][repeats].
        room: characters of a record that the judge reads.
        caveat: what a reader should know of the judge.
    """

    plan: Plan
    loaded: Loaded
    items: Sequence[JudgedItem]
    heard: Sequence[Sequence[Verdict]]
    room: int
    caveat: str = ""


def report(found: Evidence) -> dict[str, Any]:
    """The result, ready to be written as JSON. Figures are of the first repeat; the others tell how steady it is."""
    plan, items = found.plan, found.items
    scores = _scores(found.heard, 0)
    lines = judge_lines(items, scores, seed=plan.seed)
    learnt, words = baseline_lines(found.loaded.items, items, room=found.room, seed=plan.seed)
    first = [verdicts[0] for verdicts in found.heard]
    steps = _steps(found, first)
    if steps is not None:
        judge = lines["judge"]
        lines["judge"] = judge.model_copy(update={"figures": judge.figures | steps["figures"]})
    if only_failures(found.loaded.items):  # nothing to learn of right and wrong
        learnt, words = constant_lines(items, seed=plan.seed), {}
    asked = [verdict.usage.seconds for verdicts in found.heard for verdict in verdicts if verdict.usage.calls]
    return {
        "complete": True,
        "plan": plan,
        "prompt_version": "; ".join(sorted({verdict.prompt_version for verdict in first if verdict.prompt_version})),
        "versions": {"reagent-sdk": reagent_sdk.__version__, "python": platform.python_version()},
        "counts": _counts(found, first),
        "seconds_per_verdict": round(fmean(asked), 3) if asked else None,
        "lines": lines | learnt,
        "parts": _parts(items, scores, plan.seed),
        "repeats": _steadiness(found),
        "steps": steps,
        "notes": _notes(found, asked_for_steps=steps is not None),
        "items": [_row(item, verdicts, words) for item, verdicts in zip(items, found.heard, strict=True)],
    }


def _steps(found: Evidence, first: Sequence[Verdict]) -> dict[str, Any] | None:
    """What became of the labels of steps; None where they were not asked for, or the data have none."""
    asked = found.plan.steps or any(verdict.steps or verdict.steps_reason for verdict in first)
    if not asked or not any(item.steps for item in found.items):
        return None
    return step_report(found.items, first, seed=found.plan.seed)


def _notes(found: Evidence, *, asked_for_steps: bool) -> dict[str, str]:
    lacks_steps = any(item.steps for item in found.items) and not asked_for_steps
    notes = {"judge": found.caveat, "step_accuracy": NO_STEPS if lacks_steps else ""}
    return {about: note for about, note in notes.items() if note}


def _scores(heard: Sequence[Sequence[Verdict]], repeat: int) -> NDArray[np.float64]:
    return np.array([np.nan if one[repeat].score is None else one[repeat].score for one in heard], dtype=np.float64)


def _counts(found: Evidence, first: Sequence[Verdict]) -> dict[str, Any]:
    statuses = Counter(verdict.status.value for verdict in first)
    return {
        "in the data set": len(found.loaded.items),
        "left out": found.loaded.left_out,
        "judged": len(found.items),
        "pairs": len({item.pair for item in found.items if item.pair}),
        "questions": len({item.group for item in found.items}),
        "right": sum(item.label for item in found.items),
        "statuses": dict(statuses),
        "shares": {status: round(count / len(first), 4) for status, count in statuses.items()},
        "cut to fit": sum(verdict.omitted_chars > 0 for verdict in first),
    }


def _parts(items: Sequence[JudgedItem], scores: NDArray[np.float64], seed: int) -> dict[str, Any]:
    """The judge's AUROC and pairwise accuracy in each part of the data set."""
    parts: dict[str, Any] = {}
    for part in sorted({item.part for item in items}):
        inside = [index for index, item in enumerate(items) if item.part == part]
        figures = measure([items[index] for index in inside], scores[inside], seed=seed)
        parts[part] = {"n": len(inside), "auroc": figures["auroc"], "pairwise": figures["pairwise"]}
    return parts


def _steadiness(found: Evidence) -> dict[str, Any] | None:
    """How much the scores depend on the frame's code; None with a single repeat.

    `mean_spread` is the mean over items of the standard deviation of an item's scores, `moved` the share of items whose
    scores lie more than 0.1 apart.
    """
    count = found.plan.repeats
    if count == 1:
        return None
    sets = [[one.score for one in verdicts if one.score is not None] for verdicts in found.heard]
    several = [scores for scores in sets if len(scores) > 1]
    runs = [measure(found.items, _scores(found.heard, repeat), seed=found.plan.seed) for repeat in range(count)]
    return {
        "codes": count,
        "items": len(several),
        "mean_spread": round(fmean(map(pstdev, several)), 4) if several else None,
        "moved": round(fmean(max(scores) - min(scores) > 0.1 for scores in several), 4) if several else None,
        "auroc": [run["auroc"].value for run in runs],
        "pairwise": [run["pairwise"].value for run in runs],
    }


def _row(item: JudgedItem, verdicts: Sequence[Verdict], words: dict[str, Any]) -> dict[str, Any]:
    """One item without any text of it; rows of this form can be calibrated on."""
    row: dict[str, Any] = {
        "id": item.id,
        "group": item.group,
        "part": item.part,
        "pair": item.pair,
        "label": item.label,
        "status": verdicts[0].status.value,
        "score": verdicts[0].score,
        "judge": verdicts[0].judge,
        "prompt_version": verdicts[0].prompt_version,
        "omitted_chars": verdicts[0].omitted_chars,
        "bag_of_words": words.get(item.id),
    }
    if item.steps:
        row |= {"step_labels": dict(item.steps), "steps": said_of(verdicts[0])}
    return row | ({"scores": [verdict.score for verdict in verdicts]} if len(verdicts) > 1 else {})
