"""The figures and the checks of one run, for people and as JSON."""

from __future__ import annotations

import json
import os
import platform
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from reagent_benchmarks.chaos.experiment import Found
from reagent_benchmarks.chaos.memory import Memory
from reagent_benchmarks.chaos.proof import Check
from reagent_benchmarks.chaos.storm import recoveries, spread
from reagent_benchmarks.chaos.world import Plan

MAX_GROWTH = 24.0
"""MB that a process may grow by in the second half of the time, along the fitted line: below that is the noise of
allocators, above it half an hour would show."""
BURST, BURST_SECONDS = 128.0, 30.0
"""The same for a process that was watched for less than so many seconds: a few replies of 9 MB at once, which both the
client and the allocator keep for a while, would otherwise decide."""


def checks(found: Found) -> list[Check]:
    """Everything that must hold."""
    tally, growth = found.tally, {"client": found.client, "judge server": found.served}
    ended = tally.returned + len(tally.broke)
    faults = tally.statuses.total() - tally.statuses["scored"]
    return [
        Check(
            "every run that was started has ended",
            tally.started == ended and not tally.cut,
            f"{tally.started} started, {ended} ended, {tally.cut} cut off",
        ),
        Check("no other error reached a caller", not tally.raised, _told(tally.raised) or "none"),
        *found.checks,
        Check(
            "it was a storm",
            bool(found.kills) and bool(tally.statuses["scored"]) and faults > 0,
            f"{len(found.kills)} kills, {tally.statuses['scored']} verdicts with and {faults} without a score",
        ),
        Check(
            "servers end only when they are told to, and well",
            not found.deaths and not found.left,
            f"{_told(Counter(found.deaths)) or 'none else'}; {found.left} processes left",
        ),
        *(
            Check(
                f"memory of the {name} is flat",
                memory.second_half()[1] <= allowed(memory),
                f"{memory.second_half()[1]:+.1f} MB in the second half, {allowed(memory):g} are allowed",
            )
            for name, memory in growth.items()
        ),
        Check(
            "descriptors and tasks are those of the start",
            found.before == found.after,
            f"{found.before.descriptors} and {found.before.tasks} before, "
            f"{found.after.descriptors} and {found.after.tasks} after",
        ),
    ]


def allowed(memory: Memory) -> float:
    """MB that a process may grow by in the second half of the time it was watched."""
    return MAX_GROWTH if memory.seconds and memory.seconds[-1] >= BURST_SECONDS else BURST


def figures(plan: Plan, found: Found) -> dict[str, Any]:
    """Everything that was measured, ready for JSON."""
    tally = found.tally
    ready, scored = recoveries(found.kills, list(tally.scored_at))
    killed = Counter(f"{kill.victim}, {kill.number.name}" for kill in found.kills)
    return {
        "engine": plan.engine,
        "minutes": plan.minutes,
        "concurrency": plan.width,
        "seed": plan.seed,
        "kill_every": plan.kill_every,
        "run_seconds": plan.run_seconds,
        "machine": f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()}",
        "seconds": found.seconds,
        "runs": tally.returned,
        "agent_failed": len(tally.broke),
        "stops": dict(tally.stops.most_common()),
        "verdicts": dict(tally.statuses.most_common()),
        "retried": tally.retried,
        "run_seconds_spread": spread(list(tally.run_seconds)),
        "verdict_seconds_spread": spread(list(tally.verdict_seconds)),
        "kills": dict(killed.most_common()),
        "seconds_until_ready": spread(ready),
        "seconds_until_scored": spread(scored),
        "client_memory": _memory(found.client),
        "judge_server_memory": _memory(found.served),
        "checks": [one._asdict() for one in checks(found)],
    }


def show(given: dict[str, Any], console: Console) -> None:
    """Prints figures and checks."""
    table = Table("what", "value", title=f"{given['engine']} judge, {given['concurrency']} runs at a time")
    seconds = given["seconds"]
    verdicts = sum(given["verdicts"].values())
    table.add_row("runs", f"{given['runs']} in {seconds:.0f} s, {given['runs'] / seconds:.1f} a second")
    table.add_row("runs that the agent itself failed", str(given["agent_failed"]))
    table.add_row("why runs stopped", _told(given["stops"]))
    table.add_row("verdicts", f"{verdicts}, {verdicts / seconds:.1f} a second: {_told(given['verdicts'])}")
    table.add_row("requests that were sent again", str(given["retried"]))
    table.add_row("a run, s", _spread(given["run_seconds_spread"]))
    table.add_row("a verdict, s", _spread(given["verdict_seconds_spread"]))
    table.add_row("kills", f"{sum(given['kills'].values())}: {_told(given['kills'])}")
    table.add_row("from a kill until the server was ready, s", _spread(given["seconds_until_ready"]))
    table.add_row("from a kill until the next score, s", _spread(given["seconds_until_scored"]))
    for name, key in (("client", "client_memory"), ("judge server, in the calm", "judge_server_memory")):
        held = given[key]
        told = "{first:.0f} to {last:.0f} MB, at most {most:.0f}; second half {slope:+.2f} MB a minute"
        table.add_row(f"memory of the {name}", told.format(**held) if held else "not seen")
    console.print(table, given["machine"])
    proof = Table("", "must hold", "figures")
    for check in given["checks"]:
        proof.add_row("ok" if check["holds"] else "FAILED", check["what"], check["figures"])
    console.print(proof)


def write(given: dict[str, Any], path: Path) -> None:
    """Writes the figures as JSON."""
    path.write_text(json.dumps(given, indent=2) + "\n")


def _memory(memory: Memory) -> dict[str, float] | None:
    held = memory.megabytes
    if not held:
        return None
    return {"first": held[0], "last": held[-1], "most": max(held), "slope": memory.second_half()[0]}


def _told(counts: Counter[str] | dict[str, int]) -> str:
    pairs: Iterable[tuple[str, int]] = counts.items()
    return ", ".join(f"{name} {count}" for name, count in pairs)


def _spread(given: dict[str, float] | None) -> str:
    return "none" if given is None else "{p50:.2f} median, {p95:.2f} p95, {max:.2f} most".format(**given)
