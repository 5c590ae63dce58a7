"""The curves of a run as one picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_NOT_DRAWN = ("step", "epoch", "total_flos", "num_tokens", "entropy", "mean_token_accuracy", "step_time")
_DETAILS = ("clip_ratio/", "completions/max_", "completions/mean_terminated_", "completions/min_", "frac_", "rewards/")
"""What TRL logs of a run on rewards beside the figures that tell how it goes."""


def series(log: Sequence[Mapping[str, Any]]) -> dict[str, list[tuple[int, float]]]:
    """Metric -> (update, value) pairs, from a trainer's log; metrics of the whole run are left out."""
    found: dict[str, list[tuple[int, float]]] = {}
    for entry in log:
        for name, value in entry.items():
            if (
                name in _NOT_DRAWN
                or name.startswith(("train_", *_DETAILS))
                or "runtime" in name
                or "per_second" in name
            ):
                continue
            if isinstance(value, int | float) and not isinstance(value, bool):
                found.setdefault(name, []).append((int(entry["step"]), float(value)))
    return found


def draw(log: Sequence[Mapping[str, Any]], path: Path, title: str) -> None:
    """Writes a PNG with one panel for each metric, evaluation in the panel of its training metric."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    found = series(log)
    panels = [name for name in found if not name.startswith("eval_")]
    panels += [name for name in found if name.startswith("eval_") and name.removeprefix("eval_") not in found]
    columns = min(3, max(1, len(panels)))
    rows = max(1, -(-len(panels) // columns))
    figure = Figure(figsize=(4.2 * columns, 2.8 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    for place, name in enumerate(panels, start=1):
        axes = figure.add_subplot(rows, columns, place)
        steps, values = zip(*found[name], strict=True)
        axes.plot(steps, values, color="tab:blue", alpha=0.3, linewidth=1)
        axes.plot(steps, _smoothed(values), color="tab:blue", linewidth=1.6)
        if held_out := found.get(f"eval_{name}"):
            axes.plot(*zip(*held_out, strict=True), color="tab:orange", marker="o", markersize=3, label="validation")
            axes.legend(fontsize=8)
        axes.set_title(name, fontsize=10)
        axes.set_xlabel("update", fontsize=8)
        axes.tick_params(labelsize=8)
        axes.grid(alpha=0.3)
    figure.suptitle(title)
    figure.savefig(path, dpi=110)


def _smoothed(values: Sequence[float], window: int = 9) -> list[float]:
    """Running means over the last `window` values."""
    return [sum(values[max(0, i - window + 1) : i + 1]) / (i + 1 - max(0, i - window + 1)) for i in range(len(values))]
