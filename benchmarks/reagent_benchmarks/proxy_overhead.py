"""What the proxy adds to the calls that pass through it: `python -m reagent_benchmarks.proxy_overhead`.

An instant server, the proxy and the callers are processes of their own. Three ways, interleaved: the server asked
directly with bare aiohttp requests, the floor; bare requests through the proxy; and whole runs of the loop (solve,
judge, revise, judge: four model calls). CPU is that of the process in the middle: the caller's own for direct requests,
where there is none, and the proxy's for the others.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from rich.console import Console
from rich.progress import track
from rich.table import Table

from reagent_benchmarks.overhead import CALLS, QUESTION, serve

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Figures:
    """One way, once.

    Attributes:
        rate: requests a second.
        cpu: milliseconds a request, of the process in the middle.
        alone: milliseconds from request to answer with nothing else under way, the median.
    """

    rate: float
    cpu: float
    alone: float


@contextmanager
def instant_server() -> Iterator[str]:
    """The server's address."""
    context = multiprocessing.get_context("spawn")
    ready, sender = context.Pipe(duplex=False)
    process = context.Process(target=serve, args=(sender,), daemon=True)
    process.start()
    try:
        yield ready.recv()
    finally:
        process.terminate()
        process.join()


@contextmanager
def proxy(upstream: str) -> Iterator[tuple[str, int]]:
    """Address and process of a proxy before the server, which also plays the judge."""
    command = [sys.executable, "-m", "reagent_sdk", "proxy", "--upstream", upstream, "--judge", upstream]
    with subprocess.Popen(  # noqa: S603 - our own command
        [*command, "--port", "0", "--json"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None  # noqa: S101 - it is piped
        told = json.loads(process.stdout.readline())
        try:
            yield told["url"], told["pid"]
        finally:
            process.terminate()


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


async def measure(url: str, mode: str, requests: int, in_flight: int, pid: int) -> Figures:
    """Asks `requests` times, `in_flight` at a time, and then some times more one by one.

    Raises:
        RuntimeError: an answer is not what it should be, or the figures would mean nothing.
    """
    body: dict[str, Any] = {"model": "instant", "messages": [{"role": "user", "content": QUESTION * 8}]}
    if mode != "direct":
        body["reagent"] = {"mode": mode}
    raw, wanted = json.dumps(body).encode(), "three bolts in all" if mode == "critique" else "three"
    headers, places = {"Content-Type": "application/json"}, asyncio.Semaphore(in_flight)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def one() -> None:
            async with places, session.post(f"{url}/chat/completions", data=raw, headers=headers) as reply:
                told = json.loads(await reply.read())
            if told["choices"][0]["message"]["content"] != wanted:
                raise RuntimeError(f"{mode}: {told}")

        await one()
        wall, cpu = time.perf_counter(), _cpu_seconds(pid)
        await asyncio.gather(*(one() for _ in range(requests)))
        spent, took = _cpu_seconds(pid) - cpu, time.perf_counter() - wall
        alone = []
        for _ in range(40):
            begun = time.perf_counter()
            await one()
            alone.append(time.perf_counter() - begun)
    return Figures(requests / took, 1000 * spent / requests, 1000 * statistics.median(alone))


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument(
        "--requests", type=int, default=1200, help="bare and direct ones; a quarter of it runs the loop"
    )
    parser.add_argument("--in-flight", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5, help="interleaved repetitions")
    args = parser.parse_args()
    rounds: list[dict[str, Figures]] = []
    with instant_server() as server, proxy(server) as (address, pid):
        for _ in track(range(args.rounds), "measuring", console=Console(stderr=True)):
            ways = {"direct": (server, os.getpid(), 1), "bare": (address, pid, 1), "critique": (address, pid, CALLS)}
            rounds.append(
                {
                    mode: asyncio.run(measure(url, mode, args.requests // share, args.in_flight, whose))
                    for mode, (url, whose, share) in ways.items()
                }
            )
    _print(rounds, args)


def _print(rounds: list[dict[str, Figures]], args: argparse.Namespace) -> None:
    table = Table("", f"requests/s at {args.in_flight} in flight", "CPU ms a model call", "ms alone")
    for mode, calls in (("direct", 1), ("bare", 1), ("critique", CALLS)):
        rate, cpu, alone = (
            statistics.median(getattr(one[mode], name) for one in rounds) for name in ("rate", "cpu", "alone")
        )
        table.add_row(mode, f"{rate:.0f}", f"{cpu / calls:.2f}", f"{alone:.1f}")
    for mode, calls in (("bare", 1), ("critique", CALLS)):
        ratios = sorted(one[mode].cpu / calls / one["direct"].cpu for one in rounds)
        spread = f"{statistics.median(ratios):.1f} ({ratios[0]:.1f} to {ratios[-1]:.1f})"
        table.add_row(f"{mode} / direct", "", spread, "")
    Console().print(table, f"{args.rounds} rounds, {os.cpu_count()} cores, Python {sys.version.split()[0]}")


if __name__ == "__main__":
    main()
