"""A study that is killed again and again: every reply that arrived is used, and no other request is made twice."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Self

import pytest

pytest.importorskip("inspect_ai")

from reagent_benchmarks.running.call_journal import CallJournal
from reagent_benchmarks.running.calls import KeptClient, clock, keeping, question
from reagent_benchmarks.running.graded import Graders
from reagent_benchmarks.running.making import AgentMaker, AgentPlan, judge_of
from reagent_benchmarks.running.results import results_of
from reagent_benchmarks.running.study import CALLS, Study

from reagent_sdk import InvalidInput, scope
from reagent_sdk.clients.base import Sampling
from reagent_sdk.messages import user
from reagent_sdk.testing import ChatServer, Fault, Reply
from reagent_sdk.usage import Usage

from . import bench_server
from .bench_server import FIRST_VERDICT, Script

pytestmark = [
    pytest.mark.usefixtures("inspect_home"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:inspect_ai.*"),
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),  # inspect_ai's logs and their readers
    pytest.mark.filterwarnings("ignore:Exception ignored:pytest.PytestUnraisableExceptionWarning"),
]
KILLS, QUESTIONS, AT_A_TIME = 5, 12, 3
FORKS = """
import json, os, sys
from contextlib import suppress
from importlib import import_module, metadata
from pathlib import Path

known = metadata.packages_distributions()
metadata.packages_distributions = lambda: known  # inspect_ai asks each time, for two seconds
from reagent_benchmarks import inspect_tasks
from reagent_benchmarks.running.study import Study, run

for line in sys.stdin:
    name, out, *more = json.loads(line)
    seen = Path(out).with_suffix(".modules")
    child = os.fork()
    if child == 0:
        run(Study(name, Path(out), *more))
        seen.write_text(json.dumps([*sys.modules]))
        os._exit(0)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    for module in json.loads(seen.read_text()) if seen.exists() else ():
        with suppress(Exception):
            import_module(module)
"""
"""Runs studies in processes of their own. What the first one imported, the others need not import again."""


class Recorded(Script):
    """Knows each request by its content, and has each verdict on a third of the questions asked for twice.

    Attributes:
        requests: the question and the content of each, in order.
        fatal: which request, counted from 0, the process that asks does not survive by more than `delay` seconds.
    """

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[tuple[int, str]] = []
        self.judged: set[str] = set()
        self.process = 0
        self.fatal = -1
        self.delay = 0.0
        self.started = threading.Event()

    def __call__(self, body: dict[str, Any]) -> Reply | Fault:
        answer = super().__call__(body)
        number, kind = self.asked[-1]
        content = hashlib.sha256(json.dumps(body["messages"]).encode()).hexdigest()
        self.requests.append((number, content))
        if "verdict" in kind:
            self.judged.add(content)
        if len(self.requests) - 1 == self.fatal:
            self.started.wait(60)
            if self.delay:
                threading.Timer(self.delay, self.kill).start()
            else:
                self.kill()
        if kind == FIRST_VERDICT and number % 3 == 0 and len(body["messages"]) == 2:
            return Reply("I like it.", usage=(10, 2))
        return answer

    def kill(self) -> None:
        os.kill(self.process, signal.SIGKILL)


def study(folder: Path, url: str, name: str) -> Study:
    given = {"agent": url, "judge": url, "arms": "bare,critique,always", "data": str(folder / "gsm8k.jsonl")}
    keys = ("questions", "seconds", "steps", "max_tokens", "corpus", "grader")
    return Study("gsm8k", folder / name, {**given, **dict.fromkeys(keys), "seed": 0, "tools": "none"}, 1, AT_A_TIME)


class Forks:
    """Runs studies in processes of their own, one after the other."""

    def __init__(self) -> None:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self.parent = subprocess.Popen([sys.executable, "-W", "ignore", "-c", FORKS], text=True, **pipes)  # type: ignore[call-overload]

    def run(self, one: Study, script: Recorded) -> int:
        """Runs a study, tells the script who it may kill, and returns the exit code; -9 for killed."""
        script.started.clear()
        line = json.dumps([one.name, str(one.out), one.arguments, one.epochs, one.concurrency])
        self.parent.stdin.write(line + "\n")
        self.parent.stdin.flush()
        script.process = int(self.parent.stdout.readline())
        script.started.set()
        return int(self.parent.stdout.readline())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.parent.communicate()


def test_no_reply_that_arrived_is_asked_for_again(tmp_path: Path) -> None:
    (tmp_path / "gsm8k.jsonl").write_text(bench_server.rows(QUESTIONS))
    chance, script, whole, ends, codes = random.Random(8), Recorded(), Recorded(), [], []
    with Forks() as forks:
        with ChatServer(whole) as server:
            assert forks.run(study(tmp_path, server.base_url, "whole"), whole) == 0
        with ChatServer(script) as server:
            one = study(tmp_path, server.base_url, "out")
            for turn in range(KILLS + 1):
                script.fatal = len(script.requests) + chance.randint(3, 9) if turn < KILLS else -1
                script.delay = chance.choice([0.0, 0.001, 0.01])
                codes.append(forks.run(one, script))
                ends.append(len(script.requests))
                assert (one.out / CALLS).exists() == (turn < KILLS)  # nothing is left of it in the end
    assert codes == [-signal.SIGKILL] * KILLS + [0]
    assert len(whole.requests) == len(set(whole.requests))

    rows, expected = results_of([one.out]), results_of([tmp_path / "whole"])
    plain = [[row.model_dump(mode="json", exclude={"seconds", "run"}) for row in given] for given in (rows, expected)]
    assert plain[0] == plain[1]
    assert len(rows) == 3 * QUESTIONS

    # A question has one request under way at a time: what is asked again must be its last one before a kill.
    parts = [script.requests[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]
    assert all(len(part) == len(set(part)) for part in parts)
    for turn, part in enumerate(parts[:-1]):
        later = {request for following in parts[turn + 1 :] for request in following}
        last = dict(part)
        again = [request for request in part if request in later]
        assert len(again) <= AT_A_TIME
        assert all(last[number] == content for number, content in again)
    assert len(script.judged) == 2 * QUESTIONS + QUESTIONS // 3  # under one secret, prompts come again to the byte


async def asked(journal: CallJournal, url: str, texts: list[str]) -> tuple[list[str], Usage, float]:
    """The replies to some requests of one question, what was charged, and how long it took by the question's clock."""
    with keeping(journal):
        maker = AgentMaker(url, AgentPlan())
    client = maker._client
    assert isinstance(client, KeptClient)
    with question(journal, "1 1"), scope.entered(scope.Scope()) as within:
        began = clock()
        replies = [(await client.complete([user(text)], Sampling())).text for text in texts]
        took = clock() - began
    await client.aclose()
    return replies, within.meter.usage, took


class Counting:
    """Says how often it was asked."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, body: dict[str, Any]) -> Reply:
        self.count += 1
        return Reply(f"reply {self.count}", usage=(7, 3))


@pytest.mark.anyio
async def test_a_kept_reply_is_charged_and_timed_as_when_it_was_made(tmp_path: Path) -> None:
    file = tmp_path / CALLS
    with ChatServer(script := Counting()) as server:
        first, used, took = await asked(CallJournal(file), server.base_url, ["a", "b", "a"])
        again, charged, slept = await asked(CallJournal(file), server.base_url, ["a", "b", "a", "a"])
        assert script.count == 4
    assert again[:3] == first
    assert len({*again}) == 4
    assert (charged.calls, charged.prompt_tokens, charged.completion_tokens) == (4, 28, 12)
    assert charged.seconds > used.seconds
    assert slept > used.seconds
    assert took > 0
    assert file.stat().st_mode & 0o077 == 0


@pytest.mark.anyio
async def test_a_line_that_breaks_off_is_asked_for_again_and_another_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / CALLS
    with ChatServer(Counting()) as server:
        await asked(CallJournal(file), server.base_url, ["a", "b"])
        whole = file.read_bytes()
        file.write_bytes(whole[:-5])
        assert (await asked(CallJournal(file), server.base_url, ["a", "b"]))[0][0] == "reply 1"
        assert file.read_bytes().count(b"\n") == whole.count(b"\n") == 3
    file.write_text('{"answer": 42}\n')
    with pytest.raises(InvalidInput, match="does not hold replies of models; move it away, or pass another --out"):
        CallJournal(file)


def test_a_judge_of_a_study_frames_by_the_studys_secret_and_keeps_its_name(tmp_path: Path) -> None:
    spec = "mean:2*http://127.0.0.1:9/v1|http://127.0.0.1:8/v1#model"
    free = judge_of(spec)
    with keeping(CallJournal(tmp_path / CALLS)):
        kept = judge_of(spec)
    assert free is not None
    assert kept is not None
    assert kept.name == free.name


@pytest.mark.anyio
async def test_replies_of_a_grading_model_are_kept_as_well(tmp_path: Path) -> None:
    async def graded(url: str) -> list[bool | None]:
        journal = CallJournal(tmp_path / CALLS)
        with keeping(journal):
            grader = Graders("llm", url)._named("llm")
        with question(journal, "1 1"):
            grades = [await grader.grade(answer, ["Paris"], question="Where?") for answer in ("in France", "Berlin")]
        await grader.client.aclose()  # type: ignore[attr-defined]
        return [grade.right for grade in grades]

    with ChatServer(["yes", "no", "yes"]) as server:
        assert await graded(server.base_url) == await graded(server.base_url) == [True, False]
        assert len(server.requests) == 2
