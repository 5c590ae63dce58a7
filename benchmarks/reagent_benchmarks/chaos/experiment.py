"""One run of chaos from the first start to the last check."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from reagent_benchmarks.chaos.memory import Held, Memory, marked, watch
from reagent_benchmarks.chaos.proof import Check, check_runs
from reagent_benchmarks.chaos.servers import MARK, Kill, Server
from reagent_benchmarks.chaos.storm import storm
from reagent_benchmarks.chaos.traffic import Tally, Traffic, scripted_agent
from reagent_benchmarks.chaos.world import Plan, World

CALM = 0.2
"""Share of the time, at the end, in which nothing is killed: the judge server's memory is looked at there, since a
process that lives for seconds tells nothing about growth. Faults and delays go on."""
_FIRST_START = 120.0
_GRACE = 30.0
"""Seconds beyond its budget that a run has to end: to write the log on a busy machine."""


@dataclass
class Found:
    """What came out.

    Attributes:
        seconds: from the first run to the end of the drain.
        tally: counts.
        kills: forced ends, by time.
        deaths: ends of servers that nobody asked for, as "server: exit code".
        client: memory of this process while runs were made.
        served: memory of the judge server in the calm at the end.
        before: what this process held before the first run.
        after: and after the last one.
        left: processes of the servers that were still there at the end.
        checks: of the run log.
    """

    seconds: float
    tally: Tally
    kills: list[Kill]
    deaths: list[str]
    client: Memory
    served: Memory
    before: Held
    after: Held
    left: int
    checks: list[Check]


async def experiment(plan: Plan, tell: Callable[[str], None]) -> Found:
    """Runs it.

    Args:
        plan: what is asked for.
        tell: called with one line about the progress, every second.
    """
    world = World(plan)
    (plan.folder / "runs.jsonl").unlink(missing_ok=True)
    returned = plan.folder / "returned.jsonl"
    client, served = Memory(), Memory()
    async with contextlib.AsyncExitStack() as stack:
        for server in world.servers:
            await stack.enter_async_context(server.kept_up())
            async with asyncio.timeout(_FIRST_START):
                await server.up.wait()
        await _warm(plan, world)
        before = Held.now()
        begun = time.monotonic()
        async with world.wrapped(scripted_agent(plan.seed)) as agent:
            with returned.open("wb") as file:
                traffic = Traffic(agent, file)
                works = (
                    _schedule(plan, world, traffic, served),
                    _progress(traffic, world, tell),
                    watch(client, os.getpid),
                )
                with _ends_on_ctrl_c(traffic.over):
                    async with _beside(*works):
                        await traffic.flow(plan.width, plan.run_seconds + _GRACE)
            seconds = time.monotonic() - begun
        after = await Held.settled(before)
    tally = traffic.tally
    return Found(
        seconds=seconds,
        tally=tally,
        kills=sorted((kill for server in world.servers for kill in server.kills), key=lambda kill: kill.at),
        deaths=_unasked(world.servers),
        client=client,
        served=served,
        before=before,
        after=after,
        left=await _left_over(world.mark),
        checks=list(check_runs(plan.folder / "runs.jsonl", returned, tally.broke, world.true_score)),
    )


async def _warm(plan: Plan, world: World) -> None:
    """One run outside of all counts: what is opened once and for good, as imports do, is no leak."""
    async with world.wrapped(scripted_agent(plan.seed)) as agent:
        with contextlib.suppress(Exception):
            await agent.arun("A question to warm up with")
    (plan.folder / "runs.jsonl").unlink(missing_ok=True)


async def _schedule(plan: Plan, world: World, traffic: Traffic, served: Memory) -> None:
    """The storm, then the calm, then the end."""
    draws = {server.name: random.Random(f"{plan.seed}/{server.name}") for server in world.servers}
    storms = [storm(server, plan.kill_every, draws[server.name]) for server in world.servers]
    async with _beside(*storms):
        await asyncio.sleep(60 * plan.minutes * (1 - CALM))
    async with _beside(watch(served, lambda: world.judge.pid if world.judge.up.is_set() else None)):
        await asyncio.sleep(60 * plan.minutes * CALM)
    traffic.over.set()


async def _progress(traffic: Traffic, world: World, tell: Callable[[str], None]) -> None:
    begun = time.monotonic()
    while True:
        await asyncio.sleep(1)
        tally, kills = traffic.tally, sum(len(server.kills) for server in world.servers)
        tell(
            f"{time.monotonic() - begun:4.0f} s: {tally.started} runs started, {tally.returned} returned, "
            f"{tally.statuses.total()} verdicts, {len(tally.scored_at)} with a score, {kills} kills"
        )


@asynccontextmanager
async def _beside(*works: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Runs works beside the `async with` block and cancels them at its end. One that failed is raised."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
    for end in ends:
        if isinstance(end, Exception):
            raise end


@contextlib.contextmanager
def _ends_on_ctrl_c(over: asyncio.Event) -> Iterator[None]:
    """The first Ctrl-C lets the runs under way end; the second ends everything."""
    loop = asyncio.get_running_loop()

    def hear() -> None:
        over.set()
        loop.remove_signal_handler(signal.SIGINT)

    loop.add_signal_handler(signal.SIGINT, hear)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)


def _unasked(servers: list[Server]) -> list[str]:
    """Ends that nobody asked for, and drains that did not end as they should."""
    died = [f"{server.name}: {code}" for server in servers for code in server.deaths]
    drained = [kill for kill in servers[-1].kills if kill.number is signal.SIGTERM and kill.code is not None]
    return died + [f"judge server: {kill.code} after SIGTERM" for kill in drained if kill.code != 0]


async def _left_over(mark: str) -> int:
    """Processes that outlive their server; an engine has some seconds to notice that its server was killed."""
    for _ in range(150):
        if not marked(MARK, mark):
            return 0
        await asyncio.sleep(0.1)
    return len(marked(MARK, mark))
