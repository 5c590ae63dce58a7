"""What processes hold: memory over time, descriptors, tasks."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

import psutil  # type: ignore[import-untyped]

_LOOKS, _PAUSE = 100, 0.05
"""How often, and after how many seconds each, it is looked whether closed connections and ended tasks are gone."""


@dataclass
class Memory:
    """Resident memory of a process, sampled.

    Attributes:
        seconds: since the first sample.
        megabytes: resident set at that time.
    """

    seconds: list[float] = field(default_factory=list)
    megabytes: list[float] = field(default_factory=list)
    _begun: float = field(default_factory=time.monotonic, repr=False)

    def sample(self, process: psutil.Process) -> None:
        """Adds one sample; a process that is gone adds none."""
        try:
            held = process.memory_info().rss / 2**20
        except psutil.NoSuchProcess:
            return
        self.seconds.append(time.monotonic() - self._begun)
        self.megabytes.append(held)

    def second_half(self) -> tuple[float, float]:
        """Slope in MB a minute and growth in MB, by a least-squares line through the later half of the time."""
        half = self.seconds[-1] / 2 if self.seconds else 0.0
        points = [(at, held) for at, held in zip(self.seconds, self.megabytes, strict=True) if at >= half]
        if len(points) < 3:
            return 0.0, 0.0
        mean_at = sum(at for at, _ in points) / len(points)
        mean = sum(held for _, held in points) / len(points)
        around = sum((at - mean_at) ** 2 for at, _ in points)
        slope = sum((at - mean_at) * (held - mean) for at, held in points) / around
        return 60 * slope, slope * (points[-1][0] - points[0][0])


async def watch(memory: Memory, pid: Callable[[], int | None], every: float = 0.5) -> None:
    """Samples the process that `pid` names at the moment, until cancelled."""
    while True:
        now = pid()
        if now is not None and psutil.pid_exists(now):
            memory.sample(psutil.Process(now))
        await asyncio.sleep(every)


@dataclass(frozen=True)
class Held:
    """What this process and its event loop hold."""

    descriptors: int
    tasks: int

    @classmethod
    def now(cls) -> Self:
        """Counts."""
        gc.collect()
        return cls(psutil.Process().num_fds(), len(asyncio.all_tasks()))

    @classmethod
    async def settled(cls, before: Held) -> Held:
        """Counts, as soon as they are those of `before`, or after some seconds."""
        for _ in range(_LOOKS):
            if (held := cls.now()) == before:
                return held
            await asyncio.sleep(_PAUSE)
        return held


def marked(name: str, value: str) -> list[int]:
    """Processes, other than this one, whose environment holds this value."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != psutil.Process().pid and process.environ().get(name) == value:
                found.append(process.pid)
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return found
