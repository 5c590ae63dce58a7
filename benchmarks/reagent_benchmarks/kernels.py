"""What python kernels cost, and whether they leave anything behind: `python -m reagent_benchmarks.kernels`."""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import statistics
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import psutil  # type: ignore[import-untyped]
from rich.console import Console
from rich.table import Table

from reagent_sdk.tools.python.pool import KernelPool
from reagent_sdk.tools.python.sandbox import Sandbox
from reagent_sdk.tools.python.tool import PythonTool

CODES = ("values = [n * n for n in range(1000)]", "sum(values)", "print(len(values))", "1 / 0", "values[-1]")


@dataclass
class Counts:
    """What this process holds: child processes, file descriptors (sockets among them), folders of kernels."""

    processes: int
    descriptors: int
    folders: int

    @classmethod
    def now(cls) -> Self:
        """Counts."""
        gc.collect()
        folders = list(Path(tempfile.gettempdir()).glob("reagent-python-*"))
        here = psutil.Process()
        return cls(len(here.children(recursive=True)), here.num_fds(), len(folders))


@dataclass
class Measured:
    """Milliseconds."""

    first_calls: list[float] = field(default_factory=list)
    calls: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


async def attempt(tool: PythonTool, measured: Measured) -> None:
    """One attempt: five calls that use each other's variables."""
    async with tool.opened() as fresh:
        texts = []
        for number, code in enumerate(CODES):
            begun = time.perf_counter()
            result = await fresh.call({"code": code})
            (measured.calls if number else measured.first_calls).append(1000 * (time.perf_counter() - begun))
            texts.append(result.text.strip())
        if texts[1:3] != ["332833500", "1000"] or "ZeroDivisionError" not in texts[3] or texts[4] != "998001":
            measured.wrong.append(" | ".join(texts))


async def alone(sandbox: Sandbox, prewarm: int, times: int = 10) -> Measured:
    """Attempts one after the other; with kernels started ahead, there is time to start them."""
    measured = Measured()
    async with KernelPool(1, prewarm=prewarm) as pool:
        await pool.warm(sandbox)
        for _ in range(times):
            if prewarm:
                await asyncio.sleep(0.7)
            await attempt(PythonTool(sandbox=sandbox, pool=pool), measured)
    return measured


async def together(sandbox: Sandbox, attempts: int, size: int) -> tuple[Measured, float]:
    """All attempts at once over one pool; seconds that it took besides."""
    measured, begun = Measured(), time.perf_counter()
    async with KernelPool(size, prewarm=2) as pool:
        tool = PythonTool(sandbox=sandbox, pool=pool)
        await asyncio.gather(*(attempt(tool, measured) for _ in range(attempts)))
    return measured, time.perf_counter() - begun


class Peak:
    """The most child processes seen while it is open."""

    def __enter__(self) -> Self:
        self.processes, self._over = 0, threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.2):
            self.processes = max(self.processes, len(psutil.Process().children(recursive=True)))


def spread(milliseconds: list[float]) -> str:
    """Median and 95th percentile."""
    return f"{statistics.median(milliseconds):.0f} / {statistics.quantiles(milliseconds, n=20)[-1]:.0f}"


def main() -> None:
    """Prints the table; fails if an attempt went wrong or anything is left."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--attempts", type=int, default=200)
    parser.add_argument("--size", type=int, default=4 * (os.cpu_count() or 1), help="kernels in use at a time")
    parser.add_argument("--isolation", choices=["auto", "process", "bubblewrap"], default="auto")
    args = parser.parse_args()
    sandbox = Sandbox(isolation=args.isolation)
    asyncio.run(alone(sandbox, 0, 1))  # what stays open for good, as ZeroMQ's own threads do, is no leak
    before = Counts.now()
    cold, warm = asyncio.run(alone(sandbox, 0)), asyncio.run(alone(sandbox, 1))
    with Peak() as peak:
        many, seconds = asyncio.run(together(sandbox, args.attempts, args.size))
    after = Counts.now()
    leaks = [
        after.processes - before.processes,
        after.descriptors - before.descriptors,
        after.folders - before.folders,
    ]
    table = Table("what", "value", title=f"{sandbox.level()} level, {os.cpu_count()} cores")
    table.add_row("first call, kernel started for it, ms (median / p95)", spread(cold.first_calls))
    table.add_row("first call, kernel started ahead, ms", spread(warm.first_calls))
    table.add_row("later call, alone, ms", spread(cold.calls))
    table.add_row(f"later call, {args.attempts} attempts on {args.size} kernels, ms", spread(many.calls))
    table.add_row(f"{args.attempts} attempts of {len(CODES)} calls, s", f"{seconds:.1f}")
    table.add_row("attempts with a wrong result", str(len(many.wrong)))
    table.add_row("most processes at a time, supervisors included", str(peak.processes))
    table.add_row("leaked processes / descriptors / folders", " / ".join(map(str, leaks)))
    Console().print(table)
    sys.exit(any(leak > 0 for leak in leaks) or bool(many.wrong))


if __name__ == "__main__":
    main()
