"""Bulk judging, measured: `python -m reagent_benchmarks.bulk --records 10000`.

`reagent score` with both engines against one instant server in a process of its own: verdicts a second, peak memory of
the command's process at two sizes, and a run on Ray whose workers and whose own process are killed on the way.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]
from rich.console import Console
from rich.table import Table

from reagent_benchmarks.overhead import serve

LOOK = 0.05
"""Seconds between two looks at a running command."""
WORKER = "ray::MapWorker"
OTHERS = ("ray::Foreman", "ray::ReadTrajectories")
"""What runs the pipeline, and what reads for it."""


@dataclass
class Command:
    """One way to call `reagent score`.

    Attributes:
        seconds: wall-clock time of the whole command, Ray's start and stop among it.
        peak_mb: the most memory (resident, MB of 2**20 bytes) that its own process was seen with.
    """

    name: str
    options: list[str]
    url: str
    seconds: float = 0.0
    peak_mb: float = 0.0

    def run(self, file: Path, out: Path, look: Callable[[psutil.Process], None] = lambda _: None) -> int:
        """Runs it, calls `look` with its process now and then, and returns its exit code.

        Raises:
            RuntimeError: it failed of itself.
        """
        words = ["score", str(file), str(out), "--judge", self.url, "--json", *self.options]
        began = time.perf_counter()
        with subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-m", "reagent_sdk", *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        ) as running:
            process = psutil.Process(running.pid)
            while running.poll() is None:
                self.peak_mb = max(self.peak_mb, process.memory_info().rss / 2**20)
                look(process)
                time.sleep(LOOK)
            complaint = running.stderr.read() if running.stderr else ""
        self.seconds = time.perf_counter() - began
        if running.returncode > 0:
            raise RuntimeError(f"{self.name}: exit code {running.returncode}: {complaint}")
        return running.returncode


class Killer:
    """Kills all workers, or all of the pipeline, or the command itself, when the file has grown to the next mark."""

    def __init__(self, out: Path, marks: list[tuple[int, str]]) -> None:
        self._out = out
        self._marks = marks
        self.workers = self.others = self.drivers = 0

    def __call__(self, process: psutil.Process) -> None:
        """Looks at the file, and kills."""
        if not self._marks or count(self._out) < self._marks[0][0]:
            return
        _, what = self._marks.pop(0)
        if what == "command":
            os.kill(process.pid, signal.SIGKILL)
            self.drivers += 1
            return
        for one in process.children(recursive=True):
            name = one.name()
            if name.startswith(WORKER):
                one.kill()
                self.workers += 1
            elif what == "pipeline" and name.startswith(OTHERS):
                one.kill()
                self.others += 1


def count(out: Path) -> int:
    """Lines of a file, which need not exist."""
    if not out.exists():
        return 0
    with out.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(2**20), b""))


def write_records(path: Path, n: int) -> Path:
    """Small records with ids `0`, `1`, ..."""
    with path.open("w") as file:
        for number in range(n):
            file.write(
                json.dumps({"id": str(number), "question": f"How much is {number} + 1?", "answer": "more"}) + "\n"
            )
    return path


def wrong_ids(out: Path, n: int) -> int:
    """How many ids do not have exactly one scored verdict."""
    found: Counter[str] = Counter()
    with out.open() as file:
        for line in file:
            scored = json.loads(line)
            found[scored["id"]] += 1 if scored["verdict"]["status"] == "scored" else 2
    return sum(found[str(number)] != 1 for number in range(n)) + sum(not 0 <= int(one) < n for one in found)


def survived(command: Command, folder: Path, n: int) -> tuple[Killer, int, int]:
    """A run that is killed: workers six times, the command itself twice. Returns kills, wrong ids, commands run."""
    file, out = write_records(folder / "killed.jsonl", n), folder / "killed-verdicts.jsonl"
    what = ("workers", "pipeline", "command", "workers", "pipeline", "command", "workers", "workers")
    marks = [(n * share // 10, kind) for share, kind in enumerate(what, start=1)]
    killer, runs = Killer(out, marks), 1
    while command.run(file, out, killer) != 0:
        runs += 1
    return killer, wrong_ids(out, n), runs


def main() -> None:
    """Prints the tables; fails if any id lacks its verdict or has two."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--records", type=int, default=10_000, help="the smaller size; the larger one is ten times it")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--concurrency", type=int, default=32, help="verdicts under way, in all")
    args = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    ready, sender = context.Pipe(duplex=False)
    server = context.Process(target=serve, args=(sender,), daemon=True)
    server.start()
    url, each = ready.recv(), str(args.concurrency // args.workers)
    ray = ["--engine", "ray", "--workers", str(args.workers), "--concurrency", each]
    table = Table("engine", "records", "seconds", "verdicts/s", "peak memory of the command, MB")
    wrong, rates = 0, dict[tuple[str, int], float]()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for n in (args.records, 10 * args.records):
            file = write_records(folder / f"{n}.jsonl", n)
            for engine, options in (("local", ["--concurrency", str(args.concurrency)]), ("ray", ray)):
                command, out = Command(engine, options, url), folder / f"{engine}-{n}.jsonl"
                command.run(file, out)
                wrong += wrong_ids(out, n)
                rates[engine, n] = n / command.seconds
                row = (f"{command.seconds:.1f}", f"{rates[engine, n]:.0f}", f"{command.peak_mb:.0f}")
                table.add_row(engine, f"{n:,}", *row)
        killer, wrong_after_kills, runs = survived(Command("ray", ray, url), folder, args.records)
    server.terminate()
    ratios = [rates["ray", n] / rates["local", n] for n in (args.records, 10 * args.records)]
    Console().print(
        table,
        f"verdicts/s of ray over local: {ratios[0]:.2f} and {ratios[1]:.2f}",
        f"{args.records:,} records, {killer.workers} workers, {killer.others} other processes of the pipeline and "
        f"{killer.drivers} times the command itself killed: "
        f"{runs} runs of the command, {wrong_after_kills} ids without exactly one verdict",
        f"{os.cpu_count()} cores, Python {sys.version.split()[0]}",
        sep="\n",
    )
    sys.exit(bool(wrong or wrong_after_kills or killer.drivers != 2))


if __name__ == "__main__":
    main()
