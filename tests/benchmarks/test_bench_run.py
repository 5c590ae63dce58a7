from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("inspect_ai")

from hypothesis import given
from hypothesis import strategies as st
from reagent_benchmarks.outcomes import ArmResult, Outcome
from reagent_benchmarks.running import parts
from reagent_benchmarks.running.arms import Arm, arms_of
from reagent_benchmarks.running.making import AgentMaker, AgentPlan
from reagent_benchmarks.running.question import ArmRun, work_on
from reagent_benchmarks.running.results import results_of
from reagent_benchmarks.running.study import Study, run
from reagent_benchmarks.stats.summary import summarise
from typer.testing import CliRunner

from reagent_sdk import InvalidInput, StopReason
from reagent_sdk.agents import CallableAgent, Feedback
from reagent_sdk.cli.app import app
from reagent_sdk.errors import AgentError, ModelRejected, ModelUnavailable
from reagent_sdk.record import RunLog
from reagent_sdk.task import Task
from reagent_sdk.testing import ChatServer, Fault, Reply, ScriptedAgent, ScriptedJudge, refused_url
from reagent_sdk.verdict import VerdictStatus

from . import bench_server
from .bench_server import DRAFT, FIRST_VERDICT, REVISION, Script

pytestmark = [
    pytest.mark.usefixtures("inspect_home"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:inspect_ai.*"),
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),  # inspect_ai's logs and their readers
    pytest.mark.filterwarnings("ignore:Exception ignored:pytest.PytestUnraisableExceptionWarning"),
]
ALL = tuple(Arm)
TASK = Task(question="What is 2 and 2?")


@pytest.fixture
def judge() -> ScriptedJudge:
    return ScriptedJudge([(0.4, "look again"), (0.2, "worse")])


def by_arm(made: tuple[ArmRun, ...]) -> dict[str, ArmRun]:
    return {one.arm.value: one for one in made}


@pytest.mark.anyio
async def test_arms_share_one_attempt_one_verdict_and_one_revision(judge: ScriptedJudge) -> None:
    agent = ScriptedAgent(["4", "5"])
    made = by_arm(await work_on(TASK, agent, judge, ALL))

    assert len(agent.seen) == 2
    assert len(judge.seen) == 2
    assert {name: one.run.answer for name, one in made.items()} == {
        "bare": "4",
        "critique": "4",
        "always": "5",
        "gated": "4",
    }
    first = made["bare"].run.attempts[0].trajectory
    assert all(one.run.attempts[0].trajectory is first for one in made.values())
    revised = [made[arm].run.attempts[1].trajectory for arm in ("critique", "always", "gated")]
    assert all(one is revised[0] for one in revised)
    assert len({one.run.id for one in made.values()}) == 4


@pytest.mark.anyio
async def test_every_arm_is_charged_as_if_it_had_run_alone(judge: ScriptedJudge) -> None:
    made = by_arm(await work_on(TASK, ScriptedAgent(["4", "5"]), judge, ALL))
    calls = {name: one.run.usage.calls for name, one in made.items()}
    assert calls == {"bare": 1, "critique": 4, "always": 3, "gated": 4}
    assert made["bare"].run.seconds < made["always"].run.seconds <= made["critique"].run.seconds
    assert made["gated"].run.seconds == made["critique"].run.seconds


@pytest.mark.anyio
async def test_the_gated_arm_goes_by_the_judges_gate_and_says_when_there_is_none() -> None:
    gated = ScriptedJudge([(0.4, "look again"), (0.9, "fine")], gate=0.3)
    made = by_arm(await work_on(TASK, ScriptedAgent(["4", "5"]), gated, ALL))
    assert made["gated"].run.stop is StopReason.ACCEPTED
    assert (made["gated"].run.answer, made["critique"].run.answer) == ("4", "5")

    ungated = ScriptedJudge([(0.4, "look again"), (0.9, "fine")])
    made = by_arm(await work_on(TASK, ScriptedAgent(["4", "5"]), ungated, ALL))
    assert made["gated"].run.answer == made["critique"].run.answer == "5"
    assert "ships no accept gate" in " ".join(made["gated"].run.notes)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (ModelUnavailable("refused"), Outcome.UNREACHABLE),
        (ModelRejected("no such key", status=401), Outcome.UNREACHABLE),
        (ModelRejected("too many parameters", status=400), Outcome.AGENT_FAILED),
        (AgentError("test gave an empty answer"), Outcome.WRONG),
        (ZeroDivisionError("oh"), Outcome.AGENT_FAILED),
    ],
)
async def test_what_an_agent_raises_is_an_outcome_of_all_arms(
    error: Exception, outcome: Outcome, judge: ScriptedJudge
) -> None:
    agent = ScriptedAgent([error])
    made = await work_on(TASK, agent, judge, ALL)
    assert [one.arm for one in made] == list(ALL)
    assert {one.failed for one in made} == {outcome}
    assert all(type(error).__name__ in one.why and one.run.chosen is None for one in made)
    assert len(agent.seen) == 1
    assert not judge.seen


@pytest.mark.anyio
async def test_a_question_that_runs_out_of_time_is_no_wrong_answer(judge: ScriptedJudge) -> None:
    begun = 0

    async def hangs(question: str) -> str:
        import anyio

        nonlocal begun
        begun += 1
        await anyio.sleep_forever()
        return ""

    made = await work_on(TASK, CallableAgent(hangs), judge, ALL, seconds=0.05)
    assert {one.failed for one in made} == {Outcome.TIMED_OUT}
    assert begun == 1


@pytest.mark.anyio
async def test_a_revision_that_runs_out_of_time_leaves_the_draft_and_is_not_begun_again(judge: ScriptedJudge) -> None:
    begun = []

    async def hangs(question: str, feedback: Feedback | None) -> str:
        import anyio

        begun.append(feedback)
        if feedback is not None:
            await anyio.sleep_forever()
        return "4"

    made = by_arm(await work_on(TASK, CallableAgent(hangs), judge, ALL, seconds=0.3))
    assert {one.run.answer for one in made.values()} == {"4"}
    assert {one.run.stop for one in made.values()} == {StopReason.ROUNDS, StopReason.BUDGET}
    assert all(one.failed is None for one in made.values())
    assert len(begun) == 2


@pytest.mark.anyio
async def test_a_revision_that_crashes_leaves_the_draft_and_a_lost_server_does_not(judge: ScriptedJudge) -> None:
    crashed = by_arm(await work_on(TASK, ScriptedAgent(["4", ValueError("oh")]), judge, ALL))
    assert crashed["critique"].failed is None
    assert crashed["critique"].run.answer == "4"

    lost = ScriptedJudge([(0.4, "look again")])
    made = by_arm(await work_on(TASK, ScriptedAgent(["4", ModelUnavailable("gone")]), lost, ALL))
    assert made["bare"].failed is None
    assert {made[arm].failed for arm in ("critique", "always", "gated")} == {Outcome.UNREACHABLE}


@pytest.mark.anyio
async def test_a_judge_without_a_score_is_told_and_only_a_lost_one_is_tried_again() -> None:
    for status, again in ((VerdictStatus.UNPARSEABLE, False), (VerdictStatus.UNAVAILABLE, True)):
        made = by_arm(await work_on(TASK, ScriptedAgent(["4"]), ScriptedJudge([status]), ALL))
        assert [made[arm].judge_failed for arm in made] == [False, True, True, True]
        assert made["critique"].unreachable is again
        assert made["critique"].run.answer == "4"


def test_arms_are_read_from_a_list() -> None:
    assert arms_of(" gated, Bare") == arms_of(["bare", "gated"]) == (Arm.BARE, Arm.GATED)
    for text in ("", "bare,best", ","):
        with pytest.raises(InvalidInput, match="bare, critique, always, gated"):
            arms_of(text)


def study(folder: Path, url: str, name: str = "out", **changes: Any) -> Study:
    given = {"agent": url, "judge": url, "arms": "bare,critique,always", "data": str(folder / "gsm8k.jsonl")}
    keys = ("questions", "seconds", "steps", "max_tokens", "corpus", "grader")
    arguments = {**given, **dict.fromkeys(keys), "seed": 0, "tools": "none", **changes}
    return Study("gsm8k", folder / name, arguments, 1, 3)


def plain(rows: list[ArmResult]) -> list[dict[str, Any]]:
    """Rows without what differs from run to run."""
    return [row.model_dump(mode="json", exclude={"seconds", "run"}) for row in rows]


class Faulty(Script):
    """Each question from 2 on has a trouble of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.mended = False

    def __call__(self, body: dict[str, Any]) -> Reply | Fault:
        usual = super().__call__(body)
        number, kind = self.asked[-1]
        faults = {
            (2, DRAFT): Fault.hang(),
            (3, DRAFT): Fault.status(200, body="no JSON"),
            (4, DRAFT): Reply(""),
            (6, FIRST_VERDICT): Reply("no verdict"),
        }
        lost = {(5, DRAFT): Fault.status(401), (7, FIRST_VERDICT): Fault.status(401), (8, REVISION): Fault.status(403)}
        return (faults if self.mended else faults | lost).get((number, kind), usual)


def test_failures_are_outcomes_and_the_same_command_tries_lost_servers_again(tmp_path: Path) -> None:
    (tmp_path / "gsm8k.jsonl").write_text(bench_server.rows(8))
    script = Faulty()
    with ChatServer(script) as server:
        one = study(tmp_path, server.base_url, seconds=8.0)
        rows = run(one)
        outcomes = {(row.run.task.question[9:10], row.arm): row for row in rows if row.run}
        before = len(script.asked)
        script.mended = True
        again = run(one)
        asked = set(script.asked[before:])
        quiet = len(script.asked)
        third = run(one)
    assert len(script.asked) == quiet
    assert plain(third) == plain(again)

    def of(number: int) -> list[Outcome]:
        return [outcomes[str(number), arm].outcome for arm in ("bare", "critique", "always")]

    assert of(1) == [Outcome.RIGHT] * 3
    assert of(2) == [Outcome.TIMED_OUT] * 3
    assert of(3) == [Outcome.AGENT_FAILED] * 3
    assert of(4) == [Outcome.WRONG] * 3
    assert outcomes["4", "bare"].answer == ""
    assert of(5) == [Outcome.UNREACHABLE] * 3
    assert of(6) == [Outcome.WRONG] * 3
    assert [outcomes["6", arm].judge_failed for arm in ("bare", "critique", "always")] == [False, True, True]
    assert outcomes["7", "critique"].judge_failed
    assert of(8) == [Outcome.RIGHT, Outcome.UNREACHABLE, Outcome.UNREACHABLE]
    assert len(rows) == len(again) == 24

    assert {number for number, _ in asked} == {5, 7, 8}  # what ended otherwise is not asked again
    assert not any(row.outcome is Outcome.UNREACHABLE for row in again)
    kept = [row for row in again if row.run and row.run.task.question[9:10] in "12346"]
    assert plain(kept) == plain([row for row in rows if row.run and row.run.task.question[9:10] in "12346"])
    exported = list(RunLog(one.out / "runs.jsonl").read())
    assert len(exported) == 24
    assert {run.task.metadata["arm"] for run in exported} == {"bare", "critique", "always"}


def test_a_folder_takes_one_study_only(tmp_path: Path) -> None:
    (tmp_path / "gsm8k.jsonl").write_text(bench_server.rows(2))
    with ChatServer(Script()) as server:
        run(study(tmp_path, server.base_url))
        with pytest.raises(InvalidInput, match=r"it has arms 'bare,critique,always', not 'bare'; pass another --out"):
            run(study(tmp_path, server.base_url, arms="bare"))
        both = [tmp_path / "out", *(tmp_path / "out").glob("*.eval")]
        rows = results_of(both, runs=False)  # named twice, counted once
    assert len(rows) == 6
    assert all(row.run is None for row in rows)


def test_a_long_benchmark_runs_in_parts_with_a_log_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "gsm8k.jsonl").write_text(bench_server.rows(5))
    with ChatServer(Script()) as server:
        whole = run(study(tmp_path, server.base_url, name="whole"))
    monkeypatch.setattr(parts, "PART", 2)
    script = Script()
    with ChatServer(script) as server:
        one = study(tmp_path, server.base_url)
        rows = run(one)
        first = script.asked.copy()
        shutil.rmtree(one.out / "part-002")  # as if the run had been stopped before its last two parts
        shutil.rmtree(one.out / "part-003")
        again = run(one)
    assert plain(rows) == plain(again) == plain(whole)
    assert [len(list(folder.glob("*.eval"))) for folder in sorted(one.out.glob("part-*"))] == [1, 1, 1]
    assert sorted(script.asked[len(first) :]) == sorted(call for call in first if call[0] > 2)
    assert len(list(RunLog(one.out / "runs.jsonl").read())) == 15
    assert [line for line in capsys.readouterr().err.splitlines() if line.startswith("part")] == [
        f"part {number} of 3" for number in (1, 2, 3, 1, 2, 3)
    ]


@given(st.integers(1, 40), st.integers(1, 5), st.integers(1, 12))
def test_parts_hold_every_question_once_in_order(questions: int, epochs: int, size: int) -> None:
    from inspect_ai import Task as InspectTask
    from inspect_ai.dataset import MemoryDataset, Sample

    samples = [Sample(input="?", id=str(number)) for number in range(questions)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "PART", size)
        made = [
            ([one.id for one in part.task.dataset], part.folder, (part.number, part.of))
            for part in parts.in_parts(InspectTask(dataset=MemoryDataset(samples)), Path("out"), epochs)
        ]
    assert [name for names, _, _ in made for name in names] == [one.id for one in samples]
    assert len({folder for _, folder, _ in made}) == len(made)
    assert [place for _, _, place in made] == [(number + 1, len(made)) for number in range(len(made))]
    assert all(len(names) * epochs <= max(size, epochs) for names, _, _ in made)
    assert (made[0][1] == Path("out")) == (len(made) == 1)


def test_a_grader_that_fails_says_nothing_about_the_answer(tmp_path: Path) -> None:
    from inspect_ai import eval
    from reagent_benchmarks.inspect_tasks import assembled
    from reagent_benchmarks.running.inspect_task import arms, scorers
    from reagent_benchmarks.suite.base import BenchmarkItem

    class Broken:
        name = "broken"

        async def grade(self, answer: str, references: Any, **more: Any) -> Any:
            raise OSError("the disk is full")

    items = [BenchmarkItem(id="1", task=TASK, references=("4",), group="1")]
    work = arms(agent=ScriptedAgent(["4"]), judge="none", arms="bare")
    log = eval(assembled("x", items, work, scorers((Arm.BARE,), Broken())), model=None, log_dir=str(tmp_path))[0]
    assert log.results is not None
    assert [score.unscored_samples for score in log.results.scores] == [1]
    [row] = results_of([tmp_path])
    assert (row.outcome, row.why, row.answer) == (Outcome.GRADER_FAILED, "OSError: the disk is full", "4")


def bench(*arguments: str, env: dict[str, str] | None = None, **more: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "reagent_sdk", "bench", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
    return subprocess.Popen(command, text=True, env={**os.environ, **(env or {})}, **pipes, **more)


class Deadly(Script):
    """Kills the process that asks, at a certain request."""

    def __init__(self) -> None:
        super().__init__()
        self.process: subprocess.Popen[str] | None = None
        self.fatal: int | None = None

    def __call__(self, body: dict[str, Any]) -> Reply | Fault:
        answer = super().__call__(body)
        if len(self.asked) == self.fatal and self.process is not None:
            self.process.kill()
        return answer


def test_a_command_that_is_killed_and_given_again_ends_like_one_that_was_not(tmp_path: Path) -> None:
    questions, at_a_time = 12, 3  # test_bench_killed.py kills more often
    (tmp_path / "gsm8k.jsonl").write_text(bench_server.rows(questions))
    with ChatServer(Script()) as server:
        expected = run(study(tmp_path, server.base_url, name="whole"))
    chance, script, ends = random.Random(5), Deadly(), []
    with ChatServer(script) as server:
        options = ["--agent", server.base_url, "--judge", server.base_url, "--arms", "bare,critique,always"]
        options += ["--data", str(tmp_path / "gsm8k.jsonl"), "--out", str(tmp_path / "out"), "--tools", "none"]
        options += ["--concurrency", str(at_a_time), "--page", str(tmp_path / "page.html"), "--json"]
        for kill in (True, False):
            script.fatal = len(script.asked) + chance.randint(15, 30) if kill else None
            script.process = process = bench("run", "gsm8k", *options)
            told, complaints = process.communicate()
            assert process.returncode == (-9 if kill else 0), complaints
            ends.append(len(script.asked))
    rows = results_of([tmp_path / "out"])
    assert plain(rows) == plain(expected)
    assert summarise(rows)[0].arms[1].outcomes == summarise(expected)[0].arms[1].outcomes
    assert json.loads(told)["results"] == [row.model_dump(mode="json", exclude={"run"}) for row in rows]
    assert "<title>gsm8k</title>" in (tmp_path / "page.html").read_text()

    # Nothing is lost, and only requests that were under way at the kill are made twice.
    before, after = script.asked[: ends[0]], script.asked[ends[0] :]
    assert {number for number, _ in script.asked} == set(range(1, questions + 1))
    assert len(set(before) & set(after)) <= at_a_time
    assert all(len(part) == len(set(part)) for part in (before, after))


def test_bad_input_is_one_line(tmp_path: Path) -> None:
    out = ["--out", str(tmp_path / "out"), "--judge", "http://127.0.0.1:9/v1", "--agent", "http://127.0.0.1:9/v1"]
    (tmp_path / "empty").mkdir()
    cases = {
        ("run", "gsm9k", *out): "there is no benchmark 'gsm9k'",
        ("run", "gsm8k", *out, "--arms", "bare,best"): "there is no arm 'best'",
        ("run", "gsm8k", *out[:2], "--judge", "none", "--arms", "critique"): "without a judge: pass --judge SPEC",
        ("run", "gsm8k", *out, "--data", str(tmp_path / "nowhere")): "nowhere",
        ("run", "gsm8k", *out, "--tools", "hammer"): "there is no tool 'hammer'",
        ("run", "gsm8k", *out[:2], "--agent", "nonsense", "--judge", "none", "--arms", "bare"): "does not name a model",
        ("run", "hle", *out): "name one with --grader SPEC",
        ("table", str(tmp_path / "empty")): "there is no log (*.eval)",
        ("table", str(tmp_path / "gone")): "pass a log of inspect_ai",
    }
    for arguments, expected in cases.items():
        shown = CliRunner().invoke(app, ["bench", *arguments])
        assert shown.exit_code == 2, (arguments, shown.stderr)
        assert expected in shown.stderr
        assert shown.stderr.startswith("error: ")
        assert shown.stderr.count("\n") == 1
        assert not shown.stdout


def test_the_soak_leaves_no_tasks_and_asks_nothing_twice() -> None:
    command = [sys.executable, "-m", "reagent_benchmarks.soak", "--questions", "300", "--concurrency", "64"]
    done = subprocess.run([*command, "--every", "100"], capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "1200 rows, 1200 graded, 1200 requests, 0 tasks left" in done.stdout
    assert "     300 questions" in done.stdout


def test_a_server_that_is_not_there_is_told(tmp_path: Path) -> None:
    (tmp_path / "gsm8k.jsonl").write_text(bench_server.rows(1))
    with refused_url() as url:
        rows = run(study(tmp_path, url, arms="bare", judge="none", seconds=30.0))
    assert [row.outcome for row in rows] == [Outcome.UNREACHABLE]


@pytest.mark.anyio
@pytest.mark.parametrize("first_step", ["auto", "required"])
async def test_the_first_reply_can_be_made_to_call_a_tool(first_step: Any) -> None:
    plan = AgentPlan(tools=("python",), steps=2, first_step=first_step)
    with ChatServer(["Answer: 4"]) as server:
        work = await AgentMaker(server.base_url, plan).for_task(TASK).attempt(TASK, None)
    assert work.trajectory.answer == "Answer: 4"
    assert server.requests[0].body["tool_choice"] == first_step
