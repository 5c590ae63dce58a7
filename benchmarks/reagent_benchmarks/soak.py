"""Many questions at once against a scripted server: what the harness itself takes, and what it leaves behind.

`python -m reagent_benchmarks.soak --questions 10000 --concurrency 256` runs all four arms on made-up questions, with a
scripted agent and judge in a process of their own. It prints memory and speed as it goes, checks that no row is
missing and that nothing was asked twice, and ends with status 1 if something was, or if tasks are left.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]

from reagent_benchmarks.inspect_tasks import assembled
from reagent_benchmarks.outcomes import Outcome
from reagent_benchmarks.running.arms import Arm
from reagent_benchmarks.running.inspect_task import arms, scorers
from reagent_benchmarks.running.parts import in_parts
from reagent_benchmarks.running.results import results_of
from reagent_benchmarks.suite.base import BenchmarkItem
from reagent_sdk.clients.base import Sampling
from reagent_sdk.clients.openai_compatible import OpenAICompatible
from reagent_sdk.messages import user
from reagent_sdk.task import Task
from reagent_sdk.testing import ChatServer

_CALLS = 4
"""Calls for one question: draft, verdict, revision, verdict."""
_COUNT = "How many requests were there?"
_NUMBER = re.compile(r"Question (\d+):")


def main() -> None:
    """Runs it and tells by the exit status whether everything held."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=10_000)
    parser.add_argument("--concurrency", type=int, default=256)
    parser.add_argument("--every", type=int, default=1_000, help="questions between two lines of the report")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        _serve()
        return
    with _server() as url:
        sys.exit(0 if asyncio.run(_soak(url, args.questions, args.concurrency, args.every)) else 1)


async def _soak(url: str, questions: int, concurrency: int, every: int) -> bool:
    from inspect_ai import eval_async
    from inspect_ai.solver import Generate, Solver, TaskState, solver

    began, process, ended = time.monotonic(), psutil.Process(), 0
    before = asyncio.all_tasks()

    @solver
    def counted() -> Solver:
        async def solve(state: TaskState, generate: Generate) -> TaskState:
            nonlocal ended
            ended += 1
            if ended % every == 0:
                speed = ended / (time.monotonic() - began)
                _say(f"{ended:>8} questions  {process.memory_info().rss / 2**20:8.0f} MB  {speed:7.1f} questions/s")
            return state

        return solve

    _say(f"       0 questions  {process.memory_info().rss / 2**20:8.0f} MB")
    work = [arms(agent=url, judge=url, arms=",".join(Arm)), counted()]
    task = assembled("soak", _items(questions), work, scorers(tuple(Arm), "numeric"))
    with tempfile.TemporaryDirectory() as folder:
        quiet: dict[str, Any] = {"model": None, "log_level": "error", "ctl_server": False}
        for part in in_parts(task, Path(folder)):
            await eval_async(part.task, log_dir=str(part.folder), max_samples=concurrency, **quiet)
        took = time.monotonic() - began
        rows = results_of([folder], runs=False)
    graded = sum(row.outcome in (Outcome.RIGHT, Outcome.WRONG) for row in rows)
    asked = await _asked(url)
    left = [one for one in asyncio.all_tasks() - before if not one.done()]
    _say(f"{questions / took:.1f} questions/s, {asked / took:.0f} calls/s in {took:.1f} s")
    _say(f"{len(rows)} rows, {graded} graded, {asked} requests, {len(left)} tasks left{_names(left)}")
    return graded == len(Arm) * questions and asked == _CALLS * questions and not left


def _items(questions: int) -> Iterator[BenchmarkItem]:
    for number in range(1, questions + 1):
        task = Task(question=f"Question {number}: how much is {number} and nothing?", id=str(number))
        yield BenchmarkItem(id=str(number), task=task, references=(str(number),), group=str(number))


def _serve() -> None:
    """The scripted server, until its standard input closes."""
    asked = 0

    def answer(body: dict[str, Any]) -> str:
        nonlocal asked
        server.requests.clear()  # a record of all of them would be this process's only growth
        text = "\n".join(str(message.get("content")) for message in body["messages"])
        if _COUNT in text:
            return str(asked)
        asked += 1
        found = _NUMBER.search(text)
        number = found[1] if found else "0"
        if "<score>" in text:
            return f"<analysis>a</analysis><critique>look again at {number}</critique><score>0.4</score>"
        return f"The first step.\nAnswer: {number if len(body['messages']) > 2 or 'look again' in text else 0}"

    with ChatServer(answer) as server:
        _say(server.base_url)
        sys.stdin.read()


@contextmanager
def _server() -> Iterator[str]:
    command = [sys.executable, "-m", "reagent_benchmarks.soak", "--serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:  # noqa: S603
        assert child.stdout is not None  # noqa: S101 - a pipe
        assert child.stdin is not None  # noqa: S101 - a pipe
        try:
            yield child.stdout.readline().strip()
        finally:
            child.stdin.close()


async def _asked(url: str) -> int:
    client = OpenAICompatible(url)
    try:
        return int((await client.complete([user(_COUNT)], Sampling())).text)
    finally:
        await client.aclose()


def _names(tasks: list[asyncio.Task[Any]]) -> str:
    return ": " + json.dumps(sorted({one.get_coro().__qualname__ for one in tasks})) if tasks else ""  # type: ignore[union-attr]


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
