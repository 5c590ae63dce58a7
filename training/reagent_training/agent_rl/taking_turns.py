"""Two trainers that take steps in turn in one process, and how the times of their steps compare."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
import torch
from transformers import TrainerCallback


class Turns(TrainerCallback):  # type: ignore[misc]  # transformers is not typed
    """Lets two trainers in two threads take steps in turn, and measures each step.

    Args:
        mine: which of the two this is.
        order: whose step comes when.
        door: shared by both.
    """

    def __init__(self, mine: int, order: list[int], door: threading.Condition) -> None:
        self._mine, self._order, self._door = mine, order, door
        self.seconds: list[tuple[float, float]] = []
        self._began = (0.0, 0.0)

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        """Waits for its turn."""
        with self._door:
            self._door.wait_for(lambda: bool(self._order) and self._order[0] == self._mine)
        self._began = (time.process_time(), time.perf_counter())

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """Ends its turn."""
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        ended = (time.process_time(), time.perf_counter())
        self.seconds.append((ended[0] - self._began[0], ended[1] - self._began[1]))
        with self._door:
            self._order.pop(0)
            self._door.notify_all()


def compared(ours: list[tuple[float, float]], stock: list[tuple[float, float]], kind: int, seed: int) -> dict[str, Any]:
    """Medians, and the median of the ratios of neighbouring steps with its bootstrap interval; the first is warm-up."""
    a, b = (np.array([one[kind] for one in made[1:]]) for made in (ours, stock))
    ratios = a / b
    drawn = np.random.default_rng(seed).choice(ratios, (4_000, len(ratios)))
    low, high = np.quantile(np.median(drawn, axis=1), [0.025, 0.975])
    return {
        "ours": round(float(np.median(a)), 3),
        "stock": round(float(np.median(b)), 3),
        "ratio": round(float(np.median(ratios)), 3),
        "interval": [round(float(low), 3), round(float(high), 3)],
    }
