"""Critiqued runs against a real judge server that is killed again and again, over a model that answers badly.

`reagent judge serve` runs as a process of its own, at one port, and is killed (or told to drain) at random moments and
started again; so is the model server behind it. With `--engine scripted` that server delays, refuses, breaks off and
writes unreadable verdicts, and its scores can be checked; with `--engine embedded` the small real model judges. At the
end everything that must hold is checked; exit status 1 if something does not. Ctrl-C starts no further runs, lets
those under way end, and checks what there is; a second one ends at once.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from reagent_benchmarks.chaos import report
from reagent_benchmarks.chaos.experiment import experiment
from reagent_benchmarks.chaos.world import Plan

_KILL_EVERY = {"scripted": 4.0, "embedded": 30.0}
_RUN_SECONDS = {"scripted": 20.0, "embedded": 120.0}


def read_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5.0, help="time in which runs are started")
    parser.add_argument("--concurrency", type=int, default=64, help="runs at a time")
    parser.add_argument("--seed", type=int, default=0, help="of kills, faults, delays and the agent")
    parser.add_argument("--engine", choices=["scripted", "embedded"], default="scripted")
    parser.add_argument("--kill-every", type=float, help="mean seconds of a server's life once it is ready (4; 30)")
    parser.add_argument("--run-seconds", type=float, help="budget of each run (20; 120)")
    parser.add_argument("--out", type=Path, help="the figures as JSON")
    parser.add_argument("--keep", type=Path, help="folder for the run log and the servers' logs")
    args = parser.parse_args()
    if args.minutes <= 0 or args.concurrency < 1:
        parser.error("--minutes must be above 0, and --concurrency at least 1")
    return args


def main() -> None:
    """Runs it, prints the tables, and tells by the exit status whether everything held."""
    args, stderr = read_arguments(), Console(stderr=True)
    with tempfile.TemporaryDirectory() as drawn:
        folder = args.keep or Path(drawn)
        folder.mkdir(parents=True, exist_ok=True)
        plan = Plan(
            engine=args.engine,
            minutes=args.minutes,
            width=args.concurrency,
            seed=args.seed,
            kill_every=args.kill_every or _KILL_EVERY[args.engine],
            run_seconds=args.run_seconds or _RUN_SECONDS[args.engine],
            folder=folder,
        )
        try:
            with stderr.status("starting the servers") as status:
                found = asyncio.run(experiment(plan, status.update))
        except KeyboardInterrupt:
            sys.exit(130)
    given = report.figures(plan, found)
    report.show(given, Console())
    if args.out:
        report.write(given, args.out)
    sys.exit(0 if all(check["holds"] for check in given["checks"]) else 1)


if __name__ == "__main__":
    main()
