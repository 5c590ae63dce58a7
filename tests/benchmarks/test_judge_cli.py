"""`reagent bench judge`: from the files to the table, with interruptions, failures and commands of other packages."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from reagent_benchmarks.judging.datasets import DataSet
from typer.testing import CliRunner

from reagent_sdk.cli import app, plugins
from reagent_sdk.records import read_records
from reagent_sdk.testing.server import ChatServer, Fault

from .judge_rows import mint_row, small_set, written

pytestmark = pytest.mark.usefixtures("judge_bench")


def verdict(score: float) -> str:
    return f"<analysis>\nx\n</analysis>\n<critique>\nShow the steps.\n</critique>\n<score>{score}</score>"


def told(body: dict[str, Any]) -> str:
    return str(body["messages"][-1]["content"])


def knows(body: dict[str, Any]) -> str:
    """A judge that knows the made-up answers: even numbers, good plans, refusals."""
    text = told(body)
    even = re.search(r"<solution> (\d) </solution>", text)
    right = int(even[1]) % 2 == 0 if even else "good" in text or "Final answer\nNo." in text
    return verdict(0.9 if right else 0.2)


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with ChatServer(knows) as running:
        yield running


def bench(dataset: str, folder: Path, *words: object) -> Any:
    command = ["bench", "judge", "--dataset", dataset, "--data", str(folder), *map(str, words)]
    return CliRunner().invoke(app, command)


def read(file: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(file.read_text())
    return data


@pytest.mark.parametrize("dataset", [one for one in DataSet if one is not DataSet.WHO_AND_WHEN])
def test_a_judge_that_knows_is_told_from_the_baselines(tmp_path: Path, server: ChatServer, dataset: DataSet) -> None:
    folder, out = small_set(dataset, tmp_path), tmp_path / "out.json"
    result = bench(dataset, folder, "--judge", server.base_url, "--out", out)
    assert result.exit_code == 0, result.output
    found = read(out)
    judge = found["lines"]["judge"]["figures"]
    assert judge["auroc"]["value"] == 1.0
    assert found["lines"]["constant"]["figures"]["auroc"]["value"] == 0.5
    assert found["complete"] is True
    assert found["counts"]["shares"] == {"scored": 1.0}
    count = 12 if dataset == DataSet.PLAN_REWARDBENCH else 6
    assert len(server.requests) == len(found["items"]) == found["counts"]["judged"] == count
    assert all(0 <= one["bag_of_words"] <= 1 for one in found["items"])
    assert all(len(line) <= 80 for line in result.stdout.splitlines())
    for word in ("AUROC", "unparseable", "seconds per verdict", "constant", "bag of words"):
        assert word in result.stdout
    assert "Show the steps" not in out.read_text()  # scores and no texts


def test_pairwise_accuracy_within_tasks_and_steps(tmp_path: Path, server: ChatServer) -> None:
    out = tmp_path / "apb.json"
    bench("agentprocessbench", small_set("agentprocessbench", tmp_path), "--judge", server.base_url, "--out", out)
    found = read(out)
    assert found["lines"]["judge"]["figures"]["pairwise"]["value"] == 1.0
    assert "step_accuracy" not in found["lines"]["judge"]["figures"]
    assert found["lines"]["constant"]["figures"]["step_accuracy"]["value"] == 0.75
    assert "one score for the whole trajectory" in found["notes"]["step_accuracy"]
    tau = tmp_path / "tau.json"
    bench("tau_bench", small_set("tau_bench", tmp_path), "--judge", server.base_url, "--out", tau)
    assert read(tau)["lines"]["judge"]["figures"]["pairwise"]["value"] == 1.0
    assert all("Never refund" in str(request.body) for request in server.requests[-6:])


def test_failures_are_counted_and_cannot_help(tmp_path: Path) -> None:
    def fails_on_wrong_work(body: dict[str, Any]) -> str:
        return verdict(0.9) if knows(body) == verdict(0.9) else "no verdict"

    folder, out = small_set("mint", tmp_path), tmp_path / "out.json"
    with ChatServer(fails_on_wrong_work) as server:
        result = bench("mint", folder, "--judge", server.base_url, "--out", out)
    found = read(out)
    assert found["counts"]["shares"] == {"scored": 0.5, "unparseable": 0.5}
    assert found["lines"]["judge"]["figures"]["accuracy"]["value"] == 1.0  # of what it scored
    assert found["lines"]["judge, failures as wrong"]["figures"]["accuracy"]["value"] == 0.5
    assert found["lines"]["judge, failures as 0.5"]["n"] == 6
    assert "failures as wrong (n 6)" in " ".join(result.stdout.split())


def test_a_second_run_asks_for_nothing_and_gives_the_same_figures(tmp_path: Path, server: ChatServer) -> None:
    folder, out = small_set("mint", tmp_path), tmp_path / "out.json"
    assert bench("mint", folder, "--judge", server.base_url, "--out", out, "--limit", 4).exit_code == 0
    first = out.read_text()
    prompts = {json.dumps(request.body) for request in server.requests}
    again = bench("mint", folder, "--judge", server.base_url, "--out", out, "--limit", 4, "--json")
    assert (again.exit_code, len(server.requests)) == (0, 4)
    assert out.read_text() == first
    assert "items" not in json.loads(again.stdout)
    bench("mint", folder, "--judge", server.base_url, "--out", tmp_path / "new.json", "--limit", 4)
    assert {json.dumps(request.body) for request in server.requests} == prompts  # the same codes, order apart


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--seed", "1"], "it has seed 0, not 1"),
        (["--limit", "2"], "it has limit None, not 2"),
        (["--repeats", "2"], "it has repeats 1, not 2"),
        (["--steps"], "it has steps False, not True"),
        (["--max-chars", "5000"], "it has max_chars None, not 5000"),
    ],
)
def test_results_of_different_runs_are_not_mixed(
    tmp_path: Path, server: ChatServer, words: list[str], told: str
) -> None:
    folder, out = small_set("mint", tmp_path), tmp_path / "out.json"
    bench("mint", folder, "--judge", server.base_url, "--out", out)
    before = out.read_bytes()
    result = bench("mint", folder, "--judge", server.base_url, "--out", out, *words)
    assert (result.exit_code, len(server.requests)) == (2, 6)
    assert told in result.stderr
    other = bench("mint", folder, "--judge", f"{server.base_url}#other", "--out", out)
    assert "it has judge" in other.stderr
    written(folder / "trajectories_qa.jsonl", [mint_row(number, right=False) for number in range(6)])
    assert "the data have changed" in bench("mint", folder, "--judge", server.base_url, "--out", out).stderr
    assert out.read_bytes() == before


def test_files_of_others_are_left_alone(tmp_path: Path, server: ChatServer) -> None:
    folder = small_set("mint", tmp_path)
    for name, text in (("precious.json", "{}"), ("note.json", "not json")):
        file = tmp_path / name
        file.write_text(text)
        result = bench("mint", folder, "--judge", server.base_url, "--out", file)
        assert (result.exit_code, file.read_text()) == (2, text)
        assert "is not a result of" in result.stderr
    (tmp_path / "lone.verdicts.jsonl").write_text("")
    assert bench("mint", folder, "--judge", server.base_url, "--out", tmp_path / "lone.json").exit_code == 2
    assert server.requests == []


def test_repeats_tell_how_much_the_frame_code_moves_the_scores(tmp_path: Path) -> None:
    codes: list[str] = []

    def moody(body: dict[str, Any]) -> str:
        found = re.search(r"[0-9a-f]{8,}", told(body))
        codes.append(found[0] if found else "")
        return verdict(0.2 if codes.count(codes[-1]) and len(codes) > 6 else 0.8)

    folder, out = small_set("mint", tmp_path), tmp_path / "out.json"
    with ChatServer(moody) as server:
        result = bench("mint", folder, "--judge", server.base_url, "--out", out, "--repeats", 2)
    assert len(codes) == len(set(codes)) == 12  # one a question and repeat
    steady = read(out)["repeats"]
    assert (steady["codes"], steady["items"], steady["mean_spread"], steady["moved"]) == (2, 6, 0.3, 1.0)
    assert steady["auroc"] == [0.5, 0.5]
    assert all(one["scores"] == [0.8, 0.2] for one in read(out)["items"])
    assert "2 frame codes" in result.stdout


def test_a_dead_judge_is_exit_code_3_and_can_go_on(tmp_path: Path) -> None:
    folder, out = small_set("mint", tmp_path), tmp_path / "out.json"
    written(folder / "trajectories_qa.jsonl", [mint_row(number, right=number < 9) for number in range(30)])
    with ChatServer([Fault.status(400)]) as dead:
        result = bench("mint", folder, "--judge", f"{dead.base_url}#m", "--out", out)
        assert len(dead.requests) < 20
    assert result.exit_code == 3
    assert "the judge was unavailable from the beginning" in result.stderr
    assert read(out)["complete"] is False


def test_some_unavailable_verdicts_are_asked_for_again(tmp_path: Path) -> None:
    folder, out = small_set("mint", tmp_path), tmp_path / "out.json"
    with ChatServer([verdict(0.5), Fault.status(400), verdict(0.5)]) as server:
        url = server.base_url
        result = bench("mint", folder, "--judge", url, "--out", out, "--concurrency", 1)
        assert "unavailable for 1 items" in result.stderr
        assert read(out)["counts"]["statuses"] == {"scored": 5, "unavailable": 1}
        again = bench("mint", folder, "--judge", url, "--out", out)
    assert again.exit_code == 0
    assert read(out)["counts"]["statuses"] == {"scored": 6}


@pytest.mark.parametrize("form", ["first:{0}|{0}#b", "median:3*{0}", "mean:{0}|{0}#b"])
def test_composed_judges_are_measured_as_one(tmp_path: Path, server: ChatServer, form: str) -> None:
    folder, out = small_set("mint", tmp_path), tmp_path / "out.json"
    for _ in range(2):  # the second time from the verdicts alone
        result = bench("mint", folder, "--judge", form.format(server.base_url), "--out", out)
        assert result.exit_code == 0, result.output
        assert read(out)["lines"]["judge"]["figures"]["auroc"]["value"] == 1.0
    prompts = [told(request.body) for request in server.requests]
    assert len(set(prompts)) == 6  # one code a question, whatever the judge is made of


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_it_goes_on_after_it_was_killed(tmp_path: Path, how: signal.Signals) -> None:
    folder, out = small_set("plan_rewardbench", tmp_path), tmp_path / "out.json"
    stuck = True

    def answer(body: dict[str, Any]) -> str | Fault:
        return Fault.hang() if stuck and len(server.requests) > 5 else knows(body)

    with ChatServer(answer) as server:
        words = ["--dataset", "plan_rewardbench", "--data", str(folder), "--judge", server.base_url, "--out", str(out)]
        command = [sys.executable, "-m", "reagent_sdk", "bench", "judge", *words, "--concurrency", "1"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        while len(server.requests) < 6:
            time.sleep(0.02)
        process.send_signal(how)
        _, err = process.communicate(timeout=240)
        assert process.returncode == (130 if how is signal.SIGINT else -signal.SIGKILL)
        assert how is signal.SIGKILL or "run it again to go on" in err
        assert read(out)["complete"] is False
        kept = len((tmp_path / "out.verdicts.jsonl").read_text().splitlines())
        assert kept == 5
        with (tmp_path / "out.verdicts.jsonl").open("a") as torn:
            torn.write('{"id": "torn')
        stuck = False
        finished = bench("plan_rewardbench", folder, "--judge", server.base_url, "--out", out)
        assert finished.exit_code == 0, finished.output
        assert len(server.requests) == 6 + 12 - kept
    assert "5 verdicts are in" in finished.stderr
    assert read(out)["lines"]["judge"]["figures"]["pairwise"]["value"] == 1.0


def test_export_needs_no_judge_and_is_read_by_other_commands(tmp_path: Path) -> None:
    file = tmp_path / "labelled.jsonl"
    result = bench("tau_bench", small_set("tau_bench", tmp_path), "--export", file)
    assert result.exit_code == 0
    lines = file.read_bytes().splitlines()
    assert len(list(read_records(lines, "labelled"))) == 6
    rows = list(map(json.loads, lines))
    assert {row["label"] for row in rows} == {True, False}
    assert len({row["group"] for row in rows}) == 3
    assert bench("tau_bench", tmp_path / "tau_bench").stderr.startswith("error: pass --out")


def test_the_rows_of_a_result_can_be_calibrated_on(tmp_path: Path, server: ChatServer) -> None:
    out, rows, card = tmp_path / "out.json", tmp_path / "rows.jsonl", tmp_path / "card.json"
    folder = written(tmp_path / "trajectories_qa.jsonl", [mint_row(n, right=n % 2 == 0) for n in range(10)])
    assert bench("mint", folder, "--judge", server.base_url, "--out", out).exit_code == 0
    written(rows, read(out)["items"])
    words = ["calibrate", str(rows), "--out", str(card), "--bootstrap", "20"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert read(card)["judge"] == read(out)["plan"]["judge"]
    assert len(server.requests) == 10  # nothing is judged again


def test_what_the_data_say_cannot_colour_the_screen(tmp_path: Path, server: ChatServer) -> None:
    rows = [mint_row(n, right=n % 2 == 0, dataset=f"\x1b[31mpart {n % 2}") for n in range(4)]
    folder = written(tmp_path / "trajectories_qa.jsonl", rows)
    result = bench("mint", folder, "--judge", server.base_url, "--out", tmp_path / "out.json")
    assert "\x1b" not in result.output
    assert "part 1: n 2, AUROC -" in result.stdout


def test_baselines_need_no_judge(tmp_path: Path) -> None:
    folder = small_set("agentprocessbench", tmp_path)
    shown = bench("agentprocessbench", folder, "--baselines")
    assert shown.exit_code == 0, shown.output
    assert re.search(r"constant.*length.*bag of words", shown.stdout)
    lines = json.loads(bench("agentprocessbench", folder, "--baselines", "--json").stdout)
    assert lines["constant"]["figures"]["step_accuracy"]["value"] == 0.75
    lone = written(tmp_path / "trajectories_x.jsonl", [mint_row(0, right=True)])
    assert "holds labels on one question" in bench("mint", lone, "--baselines").stderr


def test_bad_data_is_one_line(tmp_path: Path, server: ChatServer) -> None:
    folder = written(tmp_path / "trajectories_qa.jsonl", [mint_row(0, right=True), "oops"])
    result = bench("mint", folder, "--judge", server.base_url, "--out", tmp_path / "out.json")
    assert result.exit_code == 2
    assert result.stderr.startswith(f"error: {folder}/trajectories_qa.jsonl, line 2: not JSON")
    assert result.stderr.count("\n") == 1
    written(tmp_path / "trajectories_qa.jsonl", [])
    assert "holds nothing to judge" in bench("mint", folder, "--judge", server.base_url, "--out", tmp_path / "o").stderr


def test_the_group_is_listed_and_explains_itself() -> None:
    assert re.search(r"bench +Measure agents and judges", CliRunner().invoke(app, ["--help"]).stdout)
    assert "judge" in CliRunner().invoke(app, ["bench", "--help"]).stdout
    helped = CliRunner().invoke(app, ["bench", "judge", "--help"])
    assert helped.exit_code == 0
    for word in ("--dataset", "--repeats", "--export", "Examples:"):
        assert word in helped.stdout


def test_help_imports_nothing_heavy() -> None:
    heavy = ["numpy", "sklearn", "scipy", "torch", "litellm", "xllamacpp", "ray"]
    code = (
        "import sys; from reagent_sdk.cli import main; main(['--help']); main(['bench', 'judge', '--help']);"
        f"sys.exit(', '.join(sorted(set({heavy!r}) & set(sys.modules))) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ))
    assert (done.returncode, done.stderr) == (0, "")


Points = Callable[..., list[EntryPoint]]


def test_a_broken_package_disturbs_no_other_command(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = EntryPoint("broken", "no_such_module:app", plugins.GROUP)
    no_group = EntryPoint("odd", "json:dumps", plugins.GROUP)
    taken = EntryPoint("doctor", "no_such_module:app", plugins.GROUP)

    def points(*, group: str, name: str | None = None) -> list[EntryPoint]:
        return [one for one in (broken, no_group, taken) if one.group == group and name in (None, one.name)]

    monkeypatch.setattr(plugins, "entry_points", points)
    listed = CliRunner().invoke(app, ["--help"])
    assert listed.exit_code == 0
    assert re.search(r"broken +\(cannot be loaded\)", listed.stdout)
    assert listed.stdout.count("doctor ") == 1
    assert CliRunner().invoke(app, ["doctor", "--help"]).exit_code == 0
    for words in (["broken"], ["broken", "judge", "--out", "x"], ["broken", "--help"]):
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 2
        assert "cannot be loaded: ModuleNotFoundError" in result.stderr
    assert "is not a typer.Typer" in CliRunner().invoke(app, ["odd"]).stderr
    assert CliRunner().invoke(app, ["nowhere"]).exit_code == 2
