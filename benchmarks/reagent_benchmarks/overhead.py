"""What the loop adds to the calls it makes: `python -m reagent_benchmarks.overhead`.

Solve, judge, revise, judge (four model calls) against an instant server in a process of its own; once as bare aiohttp
requests, the floor, and once through `with_critique`, interleaved. CPU is this process's own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection
from typing import Any

import aiohttp
from aiohttp import web
from rich.console import Console
from rich.progress import track
from rich.table import Table

from reagent_sdk import ModelAgent, ModelJudge, with_critique
from reagent_sdk.clients.openai_compatible import OpenAICompatible

CALLS = 4
QUESTION = "How many bolts does a robe take in all, at 2 bolts of blue and half that much white?"
VERDICTS = [
    f"<analysis>checked</analysis>\n<critique>say it {how}</critique>\n<score>{score}</score>"
    for how, score in (("shorter", 0.4), ("longer", 0.6))
]


def serve(ready: Connection) -> None:
    """An instant OpenAI-compatible server: verdicts for judge prompts, short answers for all others."""

    async def chat(request: web.Request) -> web.Response:
        raw = await request.text()
        revised = "reviewer read" in raw or "three bolts" in raw
        answer = "three bolts in all" if revised else "three"
        text = VERDICTS[revised] if "[record " in raw else answer
        message = {"role": "assistant", "content": text}
        usage = {"prompt_tokens": 9, "completion_tokens": 9}
        return web.json_response({"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage})

    async def models(_: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": "instant", "owned_by": "benchmark"}]})

    async def main() -> None:
        app = web.Application()
        app.add_routes([web.post("/v1/chat/completions", chat), web.get("/v1/models", models)])
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        ready.send(f"http://127.0.0.1:{runner.addresses[0][1]}/v1")
        await asyncio.Event().wait()

    asyncio.run(main())


async def _pool(one: Callable[[], Awaitable[Any]], loops: int, in_flight: int) -> tuple[float, float]:
    """Runs `one` `loops` times, `in_flight` at a time; CPU milliseconds a model call, and loops a second."""
    places = asyncio.Semaphore(in_flight)

    async def limited() -> None:
        async with places:
            await one()

    wall, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(limited() for _ in range(loops)))
    spent = time.process_time() - cpu
    return 1000 * spent / (loops * CALLS), loops / (time.perf_counter() - wall)


async def floor(url: str, loops: int, in_flight: int) -> tuple[float, float]:
    """The same four requests without us."""
    body = {"model": "instant", "messages": [{"role": "user", "content": QUESTION * 8}]}
    async with aiohttp.ClientSession() as session:

        async def one() -> None:
            for _ in range(CALLS):
                async with session.post(f"{url}/chat/completions", json=body) as reply:
                    json.loads(await reply.read())["choices"][0]["message"]["content"]

        return await _pool(one, loops, in_flight)


async def ours(url: str, loops: int, in_flight: int) -> tuple[float, float]:
    """The loop, through the public interface."""
    async with with_critique(ModelAgent(OpenAICompatible(url)), judge=ModelJudge(OpenAICompatible(url))) as agent:
        run = await agent.arun(QUESTION)
        assert run.usage.calls == CALLS, run  # noqa: S101 - or the comparison would be void
        return await _pool(lambda: agent.arun(QUESTION), loops, in_flight)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--loops", type=int, default=400)
    parser.add_argument("--in-flight", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=7, help="interleaved repetitions")
    args = parser.parse_args()
    ready, sender = multiprocessing.get_context("spawn").Pipe(duplex=False)
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(sender,), daemon=True)
    server.start()
    url = ready.recv()
    pairs = []
    for _ in track(range(args.rounds), "measuring", console=Console(stderr=True)):
        bare = asyncio.run(floor(url, args.loops, args.in_flight))
        pairs.append((bare, asyncio.run(ours(url, args.loops, args.in_flight))))
    server.terminate()
    table = Table("", "CPU ms per model call", f"loops/s at {args.in_flight} in flight")
    for name, which in (("bare aiohttp", 0), ("with_critique", 1)):
        milliseconds, rate = (statistics.median(pair[which][column] for pair in pairs) for column in (0, 1))
        table.add_row(name, f"{milliseconds:.2f}", f"{rate:.0f}")
    ratios = sorted(pair[1][0] / pair[0][0] for pair in pairs)
    table.add_row("ratio of CPU", f"{statistics.median(ratios):.1f} ({ratios[0]:.1f} to {ratios[-1]:.1f})", "")
    Console().print(table, f"{args.rounds} x {args.loops} loops of {CALLS} calls, Python {sys.version.split()[0]}")


if __name__ == "__main__":
    main()
