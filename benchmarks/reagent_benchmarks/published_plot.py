"""The picture of published judges: a line for each, with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np

from reagent_benchmarks.judging.figures import reach
from reagent_sdk.calibration.card import Estimate

Point: TypeAlias = tuple[str, bool, Estimate]
"""A judge's name, whether it thinks, and its AUROC."""


def draw(points: Sequence[Point], path: Path, title: str) -> None:
    """Writes a PNG with the judges from top to bottom, those that think in a colour of their own.

    Args:
        points: the judges, in the order they are drawn in; those without an interval are left out.
        path: of the picture.
        title: of the picture.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 1.2 + 0.26 * len(points)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for does, label, marker in ((False, "answers at once", "o"), (True, "thinks", "^")):
        drawn = [
            (line, one.value, reach(one))
            for line, (_, thinks, one) in enumerate(points)
            if thinks is does and one.value is not None and one.low is not None
        ]
        axes.errorbar(
            [value for _, value, _ in drawn],
            [line for line, _, _ in drawn],
            xerr=np.array([bars for _, _, bars in drawn]).reshape(-1, 2).T,
            fmt=marker,
            capsize=3,
            label=label,
        )
    axes.axvline(0.5, color="grey", linewidth=1, linestyle=":", label="constant")
    axes.set_yticks(range(len(points)), [name for name, _, _ in points], fontsize=8, parse_math=False)
    axes.invert_yaxis()
    axes.set_xlabel("AUROC of the outcome")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    axes.set_title(title, fontsize=10)
    figure.savefig(path, dpi=110)
