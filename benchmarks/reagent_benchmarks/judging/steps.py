"""What is measured of labels of steps: those that a judge gave, and constants that look at nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from reagent_benchmarks.judging.figures import estimate, mean
from reagent_benchmarks.judging.items import JudgedItem
from reagent_benchmarks.judging.lines import Line
from reagent_sdk.calibration.card import Estimate
from reagent_sdk.step_labels import WORDS
from reagent_sdk.verdict import Verdict

Said: TypeAlias = Mapping[int, int]
"""Labels by index in `trajectory.messages`: 1 good, 0 neutral, -1 bad."""

NO_VERDICT = "without a verdict"
NO_BLOCK = "without a readable block of labels"
NOT_SHOWN = "with labelled steps that did not fit the judge's window"


def said_of(verdict: Verdict) -> Said:
    """The labels on a verdict; empty when there are none."""
    return {one.message: one.label for one in verdict.steps}


def only_failures(items: Sequence[JudgedItem]) -> bool:
    """Whether all work is known to be wrong, and the question is at which step."""
    return all(item.steps and not item.label for item in items)


def first_wrong(steps: Said) -> int | None:
    """The first step that is bad; None where none is."""
    return min((place for place, label in steps.items() if label == -1), default=None)


def step_figures(
    items: Sequence[JudgedItem], said: Sequence[Said], *, seed: int, missing_as_wrong: bool = False
) -> dict[str, Estimate]:
    """Step accuracy and first-error accuracy, with 95% bootstrap intervals over questions.

    Step accuracy is the share of the labelled steps that got their label. First-error accuracy is the share of
    trajectories of which the first bad step was found, or that none is bad. Items without such labels count nothing.

    Args:
        items: [n].
        said: [n], the labels of a judge.
        seed: of the bootstrap.
        missing_as_wrong: count a trajectory with a label missing as wrong in every step, not as left out.
    """
    steps: list[tuple[float, str]] = []
    firsts: list[tuple[float, str]] = []
    for item, labels in zip(items, said, strict=True):
        whole = item.steps.keys() <= labels.keys()
        if not item.steps or not (whole or missing_as_wrong):
            continue
        steps += [(float(whole and labels[place] == label), item.group) for place, label in item.steps.items()]
        firsts.append((float(whole and first_wrong(labels) == first_wrong(item.steps)), item.group))
    return {"step_accuracy": share(steps, seed), "first_error": share(firsts, seed)}


def share(hits: Sequence[tuple[float, str]], seed: int) -> Estimate:
    """The share of hits, 1 or 0 with their question, and its 95% bootstrap interval over questions."""
    return estimate(mean, np.array([hit for hit, _ in hits]), groups=[group for _, group in hits], seed=seed)


def step_report(items: Sequence[JudgedItem], verdicts: Sequence[Verdict], *, seed: int) -> dict[str, Any]:
    """The figures of a judge's labels, how many came back, and what became of the others.

    Args:
        items: [n].
        verdicts: [n].
        seed: of the bootstrap.
    """
    labelled = [(item, verdict) for item, verdict in zip(items, verdicts, strict=True) if item.steps]
    missing = Counter(why for item, verdict in labelled if (why := _missing(item, verdict)))
    said = [said_of(verdict) for _, verdict in labelled]
    subjects = [item for item, _ in labelled]
    counted = Counter(label for labels in said for label in labels.values())
    return {
        "trajectories": len(labelled),
        "came_back": len(labelled) - missing.total(),
        "missing": dict(missing),
        "said": {word: counted[label] for word, label in WORDS.items()},
        "figures": step_figures(subjects, said, seed=seed),
        "missing_as_wrong": step_figures(subjects, said, seed=seed, missing_as_wrong=True),
    }


def _missing(item: JudgedItem, verdict: Verdict) -> str:
    if verdict.steps:
        return "" if item.steps.keys() <= said_of(verdict).keys() else NOT_SHOWN
    return NO_BLOCK if verdict.scored or verdict.steps_reason else NO_VERDICT


def constant_lines(items: Sequence[JudgedItem], *, seed: int) -> dict[str, Line]:
    """Constants for data where all work is wrong and the step is asked for: always the first, always the last."""
    return {
        name: Line(n=len(items), figures=step_figures(items, [_only(item, choose) for item in items], seed=seed))
        for name, choose in (("first step", min), ("last step", max))
    }


def _only(item: JudgedItem, choose: Callable[[Sequence[int]], int]) -> Said:
    """One step of the agent is bad, all others are good."""
    acting = [place for place, message in enumerate(item.trajectory.messages) if message.role == "assistant"]
    bad = choose(acting)
    return {place: -1 if place == bad else 1 for place in acting}
