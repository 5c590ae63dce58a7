"""Real runs of the tool-calling agent: `python -m reagent_benchmarks.tool_runs --data DIR --out runs.jsonl`.

Part one: questions of AgentProcessBench (HotpotQA) with offline search over the corpus of that data set. Part two:
questions about pages that this program serves on 127.0.0.1, with the browse tool. The first step has to call a tool,
because small local models seldom do so by themselves. Every run is appended to the log; questions that are in it
already are not run again.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from reagent_sdk import Budget, Policy, Run, RunLog, Task, with_critique
from reagent_sdk.clients.base import Sampling
from reagent_sdk.specs import client_for, judge_for
from reagent_sdk.tools import AgentSettings, BrowseTool, CorpusSearch, SearchTool, ToolAgent
from reagent_sdk.tools.corpus.build import build_corpus
from reagent_sdk.tools.web.fetch import Fetcher
from reagent_sdk.tools.web.settings import FetchSettings

PAGES = {
    "lighthouse": (
        "The Sundby lighthouse",
        "The lighthouse of Sundby was built in 1871 from grey granite. Its lamp stands 34 metres above the sea. "
        "The last keeper, Marit Holm, left the tower in 1958, when the lamp was made to work by itself.",
        [("In which year was the lighthouse built?", "1871"), ("What is the last keeper called?", "Marit Holm")],
    ),
    "bakery": (
        "Opening hours of the Kestrel bakery",
        "The Kestrel bakery opens at 6 in the morning from Tuesday to Saturday. It is closed on Sunday and Monday. "
        "Rye bread comes out of the oven at half past seven.",
        [("At what hour does the bakery open on Tuesday?", "6"), ("When does the rye bread come out?", "half past")],
    ),
}


def corpus_tasks(data: Path, count: int) -> list[Task]:
    """Distinct questions of the data set, with their gold answers in the metadata."""
    path = data / "agentprocessbench" / "hotpotqa_trajectories.jsonl"
    tasks: dict[str, Task] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        task = _task(row["question"], row["ground_truth"]["target"])
        tasks.setdefault(task.id, task)
    return list(tasks.values())[:count]


def page_tasks(base_url: str) -> list[Task]:
    """Questions about the served pages."""
    return [
        _task(f"{question} Read the page {base_url}/{name}", [gold], key=question)
        for name, (_, _, questions) in PAGES.items()
        for question, gold in questions
    ]


def _task(question: str, gold: list[str], key: str | None = None) -> Task:
    name = hashlib.sha256((key or question).encode()).hexdigest()[:16]
    return Task(question=question, id=name, metadata={"gold": gold})


@contextmanager
def serving() -> Iterator[str]:
    """Serves the pages on 127.0.0.1."""
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            title, text, _ = PAGES.get(self.path.strip("/"), ("Not found", "There is no such page.", []))
            body = f"<html><head><title>{title}</title></head><body><article><h1>{title}</h1><p>{text}</p></article>"
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(f"{body}</body></html>".encode())

        def log_message(self, format: str, *args: Any) -> None:
            """Keeps quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


async def run_all(tasks: list[tuple[Task, Any]], args: argparse.Namespace, console: Console) -> list[Run]:
    """Runs the tasks that are not in the log yet, each with its tool; returns all their runs."""
    log = RunLog(args.out)
    done = {run.task.id: run for run in log.read()}
    client, judge = client_for(args.model), judge_for(args.judge)
    settings = AgentSettings(
        sampling=Sampling(max_tokens=192, temperature=0.0),  # a penalty on repetition would forbid copying a URL
        first_step="required",
        steps=args.steps,
        window_chars=9_000,
        max_result_chars=3_000,
    )
    with Progress(console=console) as progress:
        bar = progress.add_task("runs", total=len(tasks))
        for task, tool in tasks:
            if task.id not in done:
                agent = with_critique(
                    ToolAgent(client, [tool], settings),
                    judge=judge,
                    policy=Policy(rounds=args.rounds),
                    budget=Budget(seconds=args.seconds),
                    log=log,
                )
                try:
                    done[task.id] = await agent.arun(task)
                except Exception as error:  # one question must not end the others; the log keeps its run
                    progress.console.print(f"{task.question[:60]}: {type(error).__name__}: {error}", markup=False)
            progress.advance(bar)
    await client.aclose()
    await judge.aclose()
    return [done[task.id] for task, _ in tasks if task.id in done]


def report(runs: list[Run], console: Console) -> None:
    """Prints what each run did; `right` looks for a gold answer in the returned one."""
    table = Table("question", "tool calls", "failed", "scores", "seconds", "gold in answer", expand=True)
    for run in runs:
        messages = [m for attempt in run.attempts for m in attempt.trajectory.messages]
        results = {m.tool_call_id: m.text for m in messages if m.role == "tool"}
        failed = sum(not text.startswith(("Search results", "URL: ")) for text in results.values())
        names = sorted({call.name for m in messages for call in m.tool_calls or ()})
        gold = any(str(answer).lower() in (run.answer or "").lower() for answer in run.task.metadata["gold"])
        scores = ", ".join("-" if a.score is None else f"{a.score:.2f}" for a in run.attempts)
        row = [f"{run.task.question[:24]}...", f"{len(results)} {', '.join(names)}", str(failed)]
        table.add_row(*row, scores, f"{run.seconds:.1f}", "yes" if gold else "no")
    console.print(table)


def main() -> None:
    """Runs both parts and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("REAGENT_DATA", "../shared/data")))
    parser.add_argument("--out", type=Path, default=Path("tool_runs.jsonl"), help="run log; resumed when it exists")
    parser.add_argument("--questions", type=int, default=20, help="questions for the corpus")
    parser.add_argument("--model", default="local")
    parser.add_argument("--judge", default="local")
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=120.0, help="limit of each run")
    args = parser.parse_args()
    console = Console(stderr=True)
    source = args.data / "agentprocessbench" / "hotpotqa_corpus.jsonl"
    if not source.is_file():
        sys.exit(f"error: {source} is not there; pass --data or set REAGENT_DATA")
    corpus = args.out.with_suffix(".corpus")
    if not corpus.exists():
        build_corpus([source], corpus)
    began = time.monotonic()
    search = SearchTool([CorpusSearch(corpus)])
    browse = BrowseTool(Fetcher(FetchSettings(allow_hosts=("127.0.0.1",), ports=None)))
    with serving() as url:
        tasks: list[tuple[Task, Any]] = [(task, search) for task in corpus_tasks(args.data, args.questions)]
        tasks += [(task, browse) for task in page_tasks(url)]
        runs = asyncio.run(run_all(tasks, args, console))
    report(runs, Console())
    console.print(f"{len(runs)} of {len(tasks)} runs in {args.out}, {time.monotonic() - began:.0f} s", markup=False)


if __name__ == "__main__":
    main()
