"""The picture of a learning curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from reagent_benchmarks.judging.figures import reach

from reagent_sdk.calibration.card import Estimate
from reagent_training.train.learning_curve import Point, leading

_NAMES = {"auroc": "AUROC", "pairwise": "pairwise accuracy"}


def draw(points: Sequence[Point], words: Mapping[str, Estimate], path: Path, title: str) -> None:
    """Writes a PNG with one panel for each source: the figure against the rows seen, with 95% intervals.

    Args:
        points: of all sources.
        words: source -> the same figure of a bag of words that learnt from the same rows; drawn as a line.
        path: of the picture.
        title: of the picture.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    sources = sorted({point.source for point in points})
    columns = min(2, len(sources))
    lines = -(-len(sources) // columns)
    figure = Figure(figsize=(4.6 * columns, 3.0 * lines), layout="constrained")
    FigureCanvasAgg(figure)
    for place, source in enumerate(sources, start=1):
        here = [point for point in points if point.source == source]
        name = leading(here[0].figures)
        axes = figure.add_subplot(lines, columns, place)
        seen, value, below, above = _bars(here, name)
        axes.errorbar(seen, value, yerr=(below, above), marker="o", capsize=3, label="judge")
        axes.axhline(0.5, color="grey", linewidth=1, linestyle=":", label="constant")
        if source in words and (of_words := words[source].value) is not None:
            axes.axhline(of_words, color="tab:orange", linestyle="--", label="bag of words, all rows")
        axes.set_title(f"{source}, n = {here[0].n}", fontsize=10)
        axes.set_xlabel("rows seen", fontsize=8)
        axes.set_ylabel(_NAMES[name], fontsize=8)
        axes.tick_params(labelsize=8)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7)
    figure.suptitle(title)
    figure.savefig(path, dpi=110)


def _bars(points: Sequence[Point], name: str) -> tuple[list[int], list[float], list[float], list[float]]:
    """Rows seen, value, and how far the interval reaches below and above; points without a value are left out."""
    seen, values, below, above = [], [], [], []
    for point in points:
        one = point.figures[name]
        if one.value is not None:
            seen.append(point.rows)
            values.append(one.value)
            down, up = reach(one)
            below.append(down)
            above.append(up)
    return seen, values, below, above
