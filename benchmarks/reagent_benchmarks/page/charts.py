"""Where things lie on the charts. The template draws them, so that every word on them is escaped."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from reagent_benchmarks.outcomes import ArmResult
from reagent_benchmarks.stats.figures import cost, count, points, share
from reagent_benchmarks.stats.rows import by_arm
from reagent_benchmarks.stats.summary import ArmSummary, Summary
from reagent_sdk.calibration.diagram import reliability
from reagent_sdk.calibration.metrics import brier, checked, ece

LABEL = 22
"""Characters of an arm's name on a chart."""
LINE = 15
"""Height of a label in pixels."""


@dataclass(frozen=True)
class Axis:
    """A linear axis from `low` to `high` on pixels `start` to `end`, with its ticks' values."""

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[float, ...]

    @classmethod
    def over(cls, low: float, high: float, start: float, end: float) -> Axis:
        """An axis that holds both values, with 3 to 7 ticks at round numbers; its ends are ticks."""
        span = next(one for one in (high - low, max(abs(low), abs(high)), 1.0) if one > 1e-9)
        step = _round_step(span / 4)
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        last = max(last, first + 1)
        return cls(first * step, last * step, start, end, tuple(one * step for one in range(first, last + 1)))

    def at(self, value: float) -> float:
        """Pixel of a value."""
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)


@dataclass(frozen=True)
class Mark:
    """A point with its interval, in pixels; `low` and `high` are None without one."""

    label: str
    text: str
    x: float
    y: float
    low: float | None = None
    high: float | None = None
    label_y: float = 0.0
    flip: bool = False


@dataclass(frozen=True)
class Chart:
    """What a chart's template needs; `ticks` are (pixel, text)."""

    width: int
    height: int
    marks: tuple[Mark, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...] = ()
    name: str = ""
    note: str = ""
    zero: float = 0.0


def forest(summary: Summary) -> Chart | None:
    """Differences to the bare agent, one line an arm; None without any."""
    compared = [(arm.arm, arm.against.difference) for arm in summary.arms if arm.against]
    known = [(name, found, found.value) for name, found in compared if found.value is not None]
    if not known:
        return None
    ends = [end for _, found, value in known for end in (found.low, found.high, value) if end is not None]
    axis = Axis.over(min(0.0, *ends), max(0.0, *ends), 165, 440)
    pitch = max(34, min(72, 200 // len(known)))  # few arms fill the chart as well
    marks = tuple(
        Mark(
            label=name,
            text=points(found, between="  "),
            x=axis.at(value),
            y=20 + pitch // 2 + pitch * line,
            low=None if found.low is None else axis.at(found.low),
            high=None if found.high is None else axis.at(found.high),
        )
        for line, (name, found, value) in enumerate(known)
    )
    ticks = tuple((axis.at(one), f"{100 * one:+.4g}" if abs(one) > 1e-9 else "0") for one in axis.ticks)
    return Chart(620, 62 + pitch * len(marks), marks, ticks, zero=axis.at(0.0))


def price(summary: Summary) -> Chart | None:
    """Accuracy against what a question costs, in dollars where all prices are known and in tokens where not."""
    arms = [arm for arm in summary.arms if arm.accuracy.value is not None]
    if not arms:
        return None
    in_dollars = all(arm.cost_usd is not None for arm in arms) and any(arm.cost_usd for arm in arms)
    spent = [arm.cost_usd or 0.0 if in_dollars else arm.tokens for arm in arms]
    across = Axis.over(0.0, max(spent), 60, 500)
    shares = [(arm.accuracy.low, arm.accuracy.value, arm.accuracy.high) for arm in arms]
    ends = [end for one in shares for end in one if end is not None]
    up = Axis.over(min(ends), max(ends), 240, 20)
    marks = [_priced(arm, one, across, up) for arm, one in zip(arms, spent, strict=True)]
    words = cost if in_dollars else count
    return Chart(
        620,
        290,
        _apart(marks),
        tuple((across.at(one), words(one) if one else "0") for one in across.ticks),
        tuple((up.at(one), f"{100 * one:.4g}%") for one in up.ticks),
        name="dollars a question" if in_dollars else "tokens a question",
    )


def _priced(arm: ArmSummary, spent: float, across: Axis, up: Axis) -> Mark:
    found = arm.accuracy
    x, y = across.at(spent), up.at(found.value or 0.0)
    low, high = (None if end is None else up.at(end) for end in (found.low, found.high))
    return Mark(arm.arm, share(found), x, y, low, high, label_y=y - 6, flip=x > 420)


def _apart(marks: Sequence[Mark]) -> tuple[Mark, ...]:
    """The marks with labels that lie at least a line apart: the upper ones are pushed up, off the axis below."""
    placed: list[Mark] = []
    for mark in sorted(marks, key=lambda one: -one.label_y):
        ceiling = placed[-1].label_y - LINE if placed else mark.label_y
        placed.append(replace(mark, label_y=min(mark.label_y, ceiling)))
    above = max(0.0, LINE - placed[-1].label_y)
    return tuple(replace(mark, label_y=mark.label_y + above) for mark in placed)


def reliabilities(rows: Sequence[ArmResult], bare: str) -> tuple[Chart, ...]:
    """What the judge's scores of returned answers promise against what came true, one chart an arm that has scores."""
    charts = []
    for arm, own in by_arm(rows, bare).items():
        scored = [row for row in own if row.score is not None and row.outcome.graded]
        if scored:
            charts.append(_reliability(arm, scored))
    return tuple(charts)


def _reliability(arm: str, rows: Sequence[ArmResult]) -> Chart:
    labels, scores = checked([row.right is True for row in rows], np.array([row.score for row in rows], dtype=float))
    across, up = Axis(0, 1, 40, 250, (0, 0.25, 0.5, 0.75, 1)), Axis(0, 1, 230, 20, (0, 0.25, 0.5, 0.75, 1))
    bins = reliability(labels, scores)
    marks = tuple(
        Mark("", f"score {x:.2f}: {y:.0%} of {n} right", across.at(x), up.at(y), up.at(low), up.at(high))
        for x, y, low, high, n in zip(bins.score, bins.share, bins.low, bins.high, bins.count, strict=True)
    )
    return Chart(
        270,
        280,
        marks,
        tuple((across.at(one), f"{one:g}") for one in across.ticks),
        tuple((up.at(one), f"{one:.0%}") for one in up.ticks),
        name=arm,
        note=f"{len(rows)} rows, Brier {brier(labels, scores):.3f}, ECE {ece(labels, scores):.3f}",
    )


def _round_step(least: float) -> float:
    """The smallest of 1, 2, 2.5, 5 times a power of ten that is no smaller."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= least * (1 - 1e-9))
