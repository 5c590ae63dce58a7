"""The reliability diagram: what a score promises against what came true, before and after the map."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from reagent_sdk.calibration.metrics import BINS, Labels, Scores, bin_of, brier, ece

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RIGHT, WRONG, JUDGE, QUIET = "#0072b2", "#d55e00", "#222222", "#767676"
"""Blue and vermilion of Okabe and Ito, which colour-blind people tell apart."""


@dataclass(frozen=True)
class Panel:
    """One column of the diagram: scores (n,) in [0, 1], and what they are."""

    title: str
    scores: Scores


@dataclass(frozen=True)
class Bins:
    """The bins that hold anything, B of them.

    Attributes:
        score: their mean scores, (B,).
        share: their shares of right work, (B,).
        low: lower ends of the shares' confidence intervals (Clopper-Pearson), (B,).
        high: upper ends, (B,).
        count: how many rows they hold, (B,).
    """

    score: NDArray[np.float64]
    share: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    count: NDArray[np.int64]


def reliability(labels: Labels, scores: Scores, *, confidence: float = 0.95) -> Bins:
    """Mean score and share of right work in bins of equal width, as :func:`ece` uses them.

    Args:
        labels: bool (n,), True for right work.
        scores: float (n,) in [0, 1].
        confidence: of the exact binomial intervals, which take the rows for independent.
    """
    where = bin_of(scores)
    count = np.bincount(where, minlength=BINS)
    filled = np.flatnonzero(count)
    right = np.bincount(where, weights=labels, minlength=BINS)[filled].astype(np.int64)
    counted = count[filled]
    ends = [
        binomtest(int(k), int(n)).proportion_ci(confidence, method="exact") for k, n in zip(right, counted, strict=True)
    ]
    return Bins(
        score=np.bincount(where, weights=scores, minlength=BINS)[filled] / counted,
        share=right / counted,
        low=np.array([one.low for one in ends]),
        high=np.array([one.high for one in ends]),
        count=counted,
    )


def draw(path: Path, labels: Labels, panels: list[Panel], *, title: str, confidence: float = 0.95) -> Path:
    """Draws a column for each panel: the diagram above, the scores of right and wrong work below.

    Args:
        path: where the PNG goes.
        labels: bool (n,), True for right work.
        panels: the scores to show, such as those before and after a map.
        title: what the whole figure is about.
        confidence: of the intervals.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2 * len(panels), 7.2), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title[: 60 * len(panels)].replace("$", r"\$"), fontsize=12, fontweight="bold")
    axes = figure.subplots(2, len(panels), squeeze=False, sharex=True, height_ratios=(2.6, 1))
    for column, panel in enumerate(panels):
        _reliability(axes[0, column], labels, panel, confidence)
        _histogram(axes[1, column], labels, panel.scores)
    axes[0, 0].set_ylabel("share of right work", fontsize=11)
    axes[1, 0].set_ylabel("attempts", fontsize=11)
    handles, names = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, fontsize=9, loc="outside lower center", ncols=2 * len(panels) - 1, frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="png")
    return path


def _reliability(axes: Axes, labels: Labels, panel: Panel, confidence: float) -> None:
    bins, base = reliability(labels, panel.scores, confidence=confidence), float(labels.mean())
    axes.plot((0, 1), (0, 1), color=QUIET, linewidth=1, linestyle="--", label="perfect calibration")
    axes.axhline(base, color=WRONG, linewidth=1.2, linestyle=":", label=f"constant: {base:.2f} is right")
    axes.errorbar(
        bins.score,
        bins.share,
        yerr=(bins.share - bins.low, bins.high - bins.share),
        color=JUDGE,
        ecolor=RIGHT,
        marker="o",
        markersize=6,
        linewidth=1,
        elinewidth=1.6,
        capsize=4,
        label=f"judge: share in the bin, {confidence:.0%} interval, count",
    )
    for score, high, count in zip(bins.score, bins.high, bins.count, strict=True):
        axes.annotate(f"{count}", (score, high), (0, 4), textcoords="offset points", ha="center", fontsize=9)
    axes.set_title(
        f"{panel.title}\nBrier {brier(labels, panel.scores):.3f}, ECE {ece(labels, panel.scores):.3f}", fontsize=11
    )
    axes.set_xlim(-0.03, 1.03)
    axes.set_ylim(-0.03, 1.09)
    axes.set_yticks(np.linspace(0, 1, 6))
    axes.grid(alpha=0.25)


def _histogram(axes: Axes, labels: Labels, scores: Scores) -> None:
    bars, floor = 2 * BINS, np.zeros(2 * BINS)
    for side, name, color in ((labels, "right", RIGHT), (~labels, "wrong", WRONG)):
        count = np.bincount(bin_of(scores[side], bars), minlength=bars)
        left = np.arange(bars) / bars
        axes.bar(left, count, 1 / bars, floor, align="edge", color=color, label=f"{name} ({int(side.sum())})")
        floor = floor + count
    axes.set_xlabel("score", fontsize=11)
    axes.grid(axis="y", alpha=0.25)
    axes.legend(fontsize=9)
