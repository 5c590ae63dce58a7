"""The lines of the table: the judge, the judge with its failures counted against it, and what it has to beat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reagent_benchmarks.judging.figures import always_good, measure
from reagent_benchmarks.judging.items import JudgedItem
from reagent_sdk.calibration import baselines
from reagent_sdk.calibration.card import Estimate
from reagent_sdk.errors import InvalidInput
from reagent_sdk.frozen import Frozen
from reagent_sdk.rendering import render_record

FAILURES = ("judge, failures as 0.5", "judge, failures as wrong")
RANKING = ("auroc", "auprc", "pairwise", "ties")


class Line(Frozen):
    """The figures of one judge or baseline, over `n` items."""

    n: int
    figures: dict[str, Estimate]


def judge_lines(items: Sequence[JudgedItem], scores: NDArray[np.float64], *, seed: int) -> dict[str, Line]:
    """The judge over the items that it scored; where it failed on some, also over all of them, in two ways.

    A judge that fails on the hard items looks better than it is over the others. "failures as 0.5" is what a user gets
    who takes a failure for "don't know"; "failures as wrong" is the worst that the missing scores could have been.

    Args:
        items: [n].
        scores: [n], NaN where the judge failed.
        seed: of the bootstrap.
    """
    failed = np.isnan(scores)
    lines = {"judge": Line(n=int((~failed).sum()), figures=measure(items, scores, seed=seed))}
    if failed.any():
        worst = np.array([0.0 if item.label else 1.0 for item in items])
        for name, stand_in in zip(FAILURES, (np.full(len(items), 0.5), worst), strict=True):
            whole = np.where(failed, stand_in, scores)
            lines[name] = Line(n=len(items), figures=measure(items, whole, seed=seed))
    return lines


def baseline_lines(
    loaded: Sequence[JudgedItem], items: Sequence[JudgedItem], *, room: int, seed: int
) -> tuple[dict[str, Line], dict[str, Any]]:
    """Constant, length and bag of words, over the items that were judged.

    They learn from all labels of the data set but those of the question at hand (cross-fitted by question). The judge
    had none of these labels, so that a judge below such a line may still know something else; but a judge that is not
    above it is not worth its price on this data set.

    Args:
        loaded: all items of the data set.
        items: those that were judged.
        room: characters of a record that the judge reads; these read as much.
        seed: of folds and bootstrap.

    Returns:
        The lines, and the bag of words' probability for each judged item, by id. Without labels on two questions there
        is nothing to learn from, and both are empty.
    """
    labels = np.array([item.label for item in loaded])
    groups = [item.group for item in loaded]
    texts = [render_record(item.task, item.trajectory, max_chars=room).text for item in loaded]
    place = {item.id: index for index, item in enumerate(loaded)}
    judged = [place[item.id] for item in items]
    try:
        found = {
            "constant": baselines.constant(labels, groups, seed=seed),
            "length": baselines.length(texts, labels, groups, seed=seed),
            "bag of words": baselines.bag_of_words(texts, labels, groups, seed=seed),
        }
    except InvalidInput:
        return {}, {}
    base = found["constant"]
    lines = {
        name: _line(items, scores[judged], baselines.relative(scores, base)[judged], seed=seed)
        for name, scores in found.items()
    }
    constant = lines["constant"]
    lines["constant"] = Line(n=constant.n, figures=constant.figures | always_good(items, seed=seed))
    words = found["bag of words"]
    return lines, {item.id: round(float(words[place[item.id]]), 4) for item in items}


def _line(items: Sequence[JudgedItem], guessed: NDArray[np.float64], ranked: NDArray[np.float64], *, seed: int) -> Line:
    """A baseline: measured by its probabilities, but ranked by them without the base rates of their folds.

    Guesses of different folds, pooled as they are, rank backwards (see :func:`baselines.relative`); a constant has to
    rank nothing at all.
    """
    ranking = {name: value for name, value in measure(items, ranked, seed=seed).items() if name in RANKING}
    return Line(n=len(items), figures=measure(items, guessed, seed=seed) | ranking)
