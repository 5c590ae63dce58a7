"""Labels of steps, measured: figures against a plain count, and `reagent bench judge --steps` from prompt to table."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reagent_benchmarks.judging.datasets import DataSet, load
from reagent_benchmarks.judging.figures import always_good
from reagent_benchmarks.judging.items import JudgedItem
from reagent_benchmarks.judging.steps import constant_lines, first_wrong, only_failures, step_figures, step_report
from typer.testing import CliRunner

from reagent_sdk import Task, Trajectory
from reagent_sdk.cli import app
from reagent_sdk.messages import assistant
from reagent_sdk.testing.server import ChatServer
from reagent_sdk.verdict import StepLabel, Verdict, VerdictStatus

from .judge_rows import apb_row, small_set, when_row, written

pytestmark = pytest.mark.usefixtures("judge_bench")

LABELS = st.sampled_from([-1, 0, 1])
STEPS = st.dictionaries(st.integers(0, 5), LABELS, max_size=5)


def item(name: str, steps: dict[int, int], *, label: bool = False) -> JudgedItem:
    work = Trajectory(messages=tuple(assistant(f"step {place}") for place in range(6)), answer="a")
    return JudgedItem(name, name, "p", Task(question=name), work, label, steps=steps)


def verdict_with(labels: dict[int, int], **changes: Any) -> Verdict:
    steps = tuple(
        StepLabel.model_validate({"step": place + 1, "message": place, "label": label})
        for place, label in labels.items()
    )
    return Verdict.of(0.5).model_copy(update={"steps": steps, **changes})


@settings(max_examples=40)
@given(st.lists(st.tuples(STEPS, STEPS), max_size=6), st.booleans())
def test_figures_are_plain_counts(cases: list[tuple[dict[int, int], dict[int, int]]], wrong: bool) -> None:
    items = [item(str(number), gold) for number, (gold, _) in enumerate(cases)]
    found = step_figures(items, [said for _, said in cases], seed=0, missing_as_wrong=wrong)
    counted = [(gold, said) for gold, said in cases if gold and (wrong or set(gold) <= set(said))]
    hits = [set(gold) <= set(said) and said[place] == gold[place] for gold, said in counted for place in gold]
    firsts = [set(gold) <= set(said) and first_wrong(gold) == first_wrong(said) for gold, said in counted]
    for name, told in (("step_accuracy", hits), ("first_error", firsts)):
        assert found[name].value == (pytest.approx(sum(told) / len(told)) if told else None)


@settings(max_examples=40)
@given(st.lists(STEPS, min_size=1, max_size=6))
def test_the_constant_is_a_judge_that_calls_all_steps_good(golds: list[dict[int, int]]) -> None:
    items = [item(str(number), gold) for number, gold in enumerate(golds)]
    constant = always_good(items)
    judge = step_figures(items, [dict.fromkeys(range(6), 1)] * len(items), seed=0)
    assert {name: one.value for name, one in constant.items()} == (
        {name: one.value for name, one in judge.items()} if any(golds) else {}
    )


def test_what_did_not_come_back_is_counted_by_reason_and_never_a_label() -> None:
    items = [item(str(number), {0: 1, 2: -1}) for number in range(4)] + [item("none", {})]
    verdicts = [
        verdict_with({0: 1, 2: -1}),
        verdict_with({0: 1}),
        verdict_with({}, steps_reason="the <steps> block is missing"),
        Verdict.failed(VerdictStatus.UNAVAILABLE, "refused"),
        verdict_with({0: -1}),
    ]
    found = step_report(items, verdicts, seed=0)
    assert (found["trajectories"], found["came_back"]) == (4, 1)
    assert found["missing"] == {
        "with labelled steps that did not fit the judge's window": 1,
        "without a readable block of labels": 1,
        "without a verdict": 1,
    }
    assert found["figures"]["first_error"].value == 1.0
    assert found["missing_as_wrong"]["first_error"].value == 0.25
    assert found["missing_as_wrong"]["step_accuracy"].value == 0.25
    assert found["said"] == {"good": 2, "neutral": 0, "bad": 1}


def test_constants_of_failures_are_the_first_and_the_last_step_of_an_agent(tmp_path: Path) -> None:
    items = load(DataSet.WHO_AND_WHEN, small_set("who_and_when", tmp_path)).items
    assert only_failures(items)
    assert not only_failures([*items, item("right", {0: 1}, label=True)])
    lines = constant_lines(items, seed=0)
    assert list(lines) == ["first step", "last step"]
    for line in lines.values():
        assert {name: one.value for name, one in line.figures.items()} == {
            "step_accuracy": pytest.approx(1 / 3),
            "first_error": pytest.approx(1 / 3),
        }


def test_public_constants(shared_data: Path) -> None:
    found = always_good(load(DataSet.AGENTPROCESSBENCH, shared_data / "agentprocessbench").items)
    assert {name: round(one.value or 0, 3) for name, one in found.items()} == {
        "step_accuracy": 0.663,
        "first_error": 0.582,
    }


def bench(dataset: str, folder: Path, *words: object) -> Any:
    command = ["bench", "judge", "--dataset", dataset, "--data", str(folder), *map(str, words)]
    return CliRunner().invoke(app, command)


def asked_for(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", text.rpartition("Label these: ")[2])]


def knows(body: dict[str, Any]) -> str:
    """Labels as people did, but for one trajectory, for which it forgets the block."""
    text = str(body["messages"][-1]["content"])
    scored = "<analysis>\nx\n</analysis>\n<critique>\nShow it.\n</critique>\n<score>0.5</score>"
    if "Who is 2?" in text and "<answer>good" in text:
        return scored
    numbers = asked_for(text)
    wrong = numbers[-1] if "<answer>bad" in text or "Final answer\nOrchestrator" in text else 0
    lines = [f"{number}: {'bad' if number == wrong else 'good'}" for number in numbers]
    return "\n".join([scored, "<steps>", *lines, "</steps>"])


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with ChatServer(knows) as running:
        yield running


def test_steps_are_asked_for_and_measured_beside_the_constant(tmp_path: Path, server: ChatServer) -> None:
    out, folder = tmp_path / "out.json", small_set("agentprocessbench", tmp_path)
    result = bench("agentprocessbench", folder, "--judge", server.base_url, "--steps", "--out", out)
    assert result.exit_code == 0, result.output
    found = json.loads(out.read_text())
    steps, judge = found["steps"], found["lines"]["judge"]["figures"]
    assert (steps["trajectories"], steps["came_back"]) == (6, 5)
    assert steps["missing"] == {"without a readable block of labels": 1}
    assert (judge["step_accuracy"]["value"], judge["first_error"]["value"]) == (1.0, 1.0)
    assert steps["missing_as_wrong"]["first_error"]["value"] == pytest.approx(5 / 6)
    assert found["lines"]["constant"]["figures"]["step_accuracy"]["value"] == 0.75
    assert found["prompt_version"] == "rrm-1+steps"
    assert (found["plan"]["steps"], found["counts"]["shares"]) == (True, {"scored": 1.0})
    right = next(one for one in found["items"] if one["id"] == "made_up/0/1")
    assert (right["step_labels"], right["steps"]) == ({"0": 1, "2": -1}, {"0": 1, "2": -1})
    text = " ".join(result.stdout.split())
    assert "labels came back for 5 of 6 trajectories; 1 without a readable block of labels" in text
    assert "constant: every step is good" in text
    assert all(len(line) <= 80 for line in result.stdout.splitlines())
    again = bench("agentprocessbench", folder, "--judge", server.base_url, "--steps", "--out", out)
    assert (again.exit_code, len(server.requests), json.loads(out.read_text())) == (0, 6, found)


def test_labels_do_not_reach_the_judge_that_is_asked_for_labels(tmp_path: Path, server: ChatServer) -> None:
    told = []
    for name, label in (("a", 1), ("b", -1)):
        rows = [apb_row(q, 0, right=True, step_labels={"2": label, "4": label}) for q in range(3)]
        folder = written(tmp_path / name / "x_trajectories.jsonl", rows)
        before = len(server.requests)
        bench("agentprocessbench", folder, "--judge", server.base_url, "--steps", "--out", tmp_path / f"{name}.json")
        told.append(sorted(json.dumps(request.body) for request in server.requests[before:]))
    assert told[0] == told[1]
    assert len(told[0]) == 3


def test_the_decisive_step_of_failures(tmp_path: Path, server: ChatServer) -> None:
    out, folder = tmp_path / "out.json", small_set("who_and_when", tmp_path)
    refused = bench("who_and_when", folder, "--judge", server.base_url, "--out", out)
    assert (refused.exit_code, len(server.requests)) == (2, 0)
    assert "add --steps" in refused.stderr
    result = bench("who_and_when", folder, "--judge", server.base_url, "--steps", "--out", out)
    assert result.exit_code == 0, result.output
    found = json.loads(out.read_text())
    assert list(found["lines"]) == ["judge", "first step", "last step"]
    judge = found["lines"]["judge"]["figures"]
    assert judge["first_error"]["value"] == pytest.approx(1 / 3)  # it calls the last step bad
    assert judge["auroc"]["value"] is None
    assert found["steps"]["came_back"] == 6
    assert "share of decisive steps that are called bad" in " ".join(result.stdout.split())
    shown = bench("who_and_when", folder, "--baselines")
    assert shown.exit_code == 0
    assert "first step" in shown.stdout


def test_a_calibrated_judge_is_not_asked_for_steps_that_it_was_not_fitted_with(tmp_path: Path) -> None:
    folder = small_set("agentprocessbench", tmp_path)
    result = bench("agentprocessbench", folder, "--judge", "calibrated:x.json", "--steps", "--out", tmp_path / "o.json")
    assert result.exit_code == 2
    assert "pass the judge itself with --steps" in result.stderr


def test_a_window_that_shows_no_more_than_some_steps_is_told(tmp_path: Path, server: ChatServer) -> None:
    long = [{"role": "assistant", "name": "Coder", "content": "x" * 400} for _ in range(20)]
    rows = [when_row(number, history=long, step=10) for number in range(2)]
    out, folder = tmp_path / "out.json", written(tmp_path / "long_full.jsonl", rows)
    bench("who_and_when", folder, "--judge", server.base_url, "--steps", "--max-chars", 1_000, "--out", out)
    found = json.loads(out.read_text())["steps"]
    assert found["missing"] == {"with labelled steps that did not fit the judge's window": 2}
    assert found["figures"]["first_error"]["value"] is None
