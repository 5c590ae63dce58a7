"""Judges measured as tasks of inspect_ai: the figures of `reagent bench judge`, and failures that are no numbers."""

from __future__ import annotations

import functools
import gc
import hashlib
import json
import math
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("inspect_ai")

from inspect_ai import eval, eval_retry
from inspect_ai.log import EvalLog
from reagent_benchmarks.inspect_judge_tasks import JUDGE_TASKS
from reagent_benchmarks.judging import figures
from reagent_benchmarks.judging.datasets import DataSet
from reagent_benchmarks.judging.inspect_judging import ITEMS, VERDICTS
from reagent_benchmarks.judging.runner import Request, run

from reagent_sdk import InvalidInput
from reagent_sdk.testing import ChatServer, Fault
from reagent_sdk.verdict import Verdict, VerdictStatus

from .judge_rows import small_set

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:inspect_ai.*"),
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),  # inspect_ai's logs and their readers
    pytest.mark.filterwarnings("ignore:Exception ignored:pytest.PytestUnraisableExceptionWarning"),
]


_distributions = functools.cache(metadata.packages_distributions)
"""inspect_ai asks for them before each evaluation, for two seconds."""


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data-home"))
    monkeypatch.setenv("REAGENT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("INSPECT_DISPLAY", "none")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("REAGENT_JUDGE", raising=False)
    monkeypatch.setattr(figures, "RESAMPLES", 50)
    known = _distributions()
    monkeypatch.setattr("inspect_ai._util.package.packages_distributions", lambda: known, raising=False)
    yield
    gc.collect()  # inspect_ai's streams complain here, and not in the middle of another test


def drawn(body: dict[str, Any]) -> str:
    """A judge whose verdict follows from the prompt to the byte, frame code included; one in three cannot be read."""
    lot = hashlib.sha256(str(body["messages"][1]["content"]).encode()).digest()
    if lot[0] < 96:
        return "I like it."
    return f"<analysis>a</analysis><critique>Say more.</critique><score>{lot[1] % 10 / 10}</score>"


def judge_log(dataset: str, folder: Path, url: str, **more: Any) -> EvalLog:
    task = JUDGE_TASKS[dataset](data=str(folder), judge=url, **more)
    [log] = eval(task, model=None, log_dir=str(folder.parent / "logs"), max_samples=4)
    return log


@pytest.mark.parametrize("dataset", list(JUDGE_TASKS))
def test_the_figures_are_those_of_the_benchmark(tmp_path: Path, dataset: str) -> None:
    folder = small_set(dataset, tmp_path)
    with ChatServer(drawn) as server:
        log = judge_log(dataset, folder, server.base_url, seed=3)
        out = tmp_path / "out.json"
        result = run(Request(DataSet(dataset), folder, server.base_url, out, seed=3))
    assert log.status == "success"
    assert log.samples is not None
    assert log.results is not None
    [found] = log.results.scores
    told = {name: one.value for name, one in found.metrics.items()}
    expected: dict[str, float] = {}
    for name, one in json.loads(out.read_text())["lines"]["judge"]["figures"].items():
        ends = {name: one["value"], f"{name}_low": one["low"], f"{name}_high": one["high"]}
        expected |= {key: value for key, value in ends.items() if value is not None}
    failed = sum(count for status, count in result["counts"]["statuses"].items() if status != "scored")
    assert failed > 0
    if dataset == "plan_rewardbench":
        assert told.pop("failed") == failed
        assert len(log.samples) == result["counts"]["pairs"] == 6
    else:
        assert found.unscored_samples == failed
        assert found.scored_samples == result["counts"]["judged"] - failed
    assert told == expected

    rows = {row["id"]: (row["status"], row["score"], row["label"]) for row in result["items"]}
    for sample in log.samples:
        facts = (sample.scores or {})["score"].metadata or {}
        for item in facts[ITEMS]:
            verdict = Verdict.model_validate_json(facts[VERDICTS][item["id"]])
            assert (verdict.status, verdict.score, item["label"]) == rows.pop(item["id"])
    assert not rows


def test_a_sample_of_pairs_holds_both_sides_and_a_draw_is_that_of_the_benchmark(tmp_path: Path) -> None:
    folder = small_set("plan_rewardbench", tmp_path)
    with ChatServer(drawn) as server:
        log = judge_log("plan_rewardbench", folder, server.base_url, items=2, seed=1)
        result = run(Request(DataSet.PLAN_REWARDBENCH, folder, server.base_url, tmp_path / "out.json", limit=2, seed=1))
    assert log.samples is not None
    assert {str(sample.id) for sample in log.samples} == {row["pair"] for row in result["items"]}
    scores = {row["id"]: row["score"] for row in result["items"]}
    for sample in log.samples:
        better, worse = sample.metadata[ITEMS]
        assert (better["label"], worse["label"]) == (True, False)
        value = (sample.scores or {})["score"].value
        assert isinstance(value, dict)
        sides = {side: None if math.isnan(float(number or 0)) else number for side, number in value.items()}
        assert sides == {"better": scores[better["id"]], "worse": scores[worse["id"]]}


def test_epochs_are_the_repeats_of_the_benchmark(tmp_path: Path) -> None:
    folder = small_set("mint", tmp_path)
    with ChatServer(drawn) as server:
        task = JUDGE_TASKS["mint"](data=str(folder), judge=server.base_url)
        [log] = eval(task, model=None, log_dir=str(tmp_path / "logs"), epochs=3)
        result = run(Request(DataSet.MINT, folder, server.base_url, tmp_path / "out.json", repeats=3))
    assert log.samples is not None
    scores = {row["id"]: row["scores"] for row in result["items"]}
    for sample in log.samples:
        value = float((sample.scores or {})["score"].value)  # type: ignore[arg-type]
        expected = scores[str(sample.id)][sample.epoch - 1]
        assert math.isnan(value) if expected is None else value == expected
    assert any(len(set(several)) > 1 for several in scores.values())


def test_a_judge_that_cannot_be_reached_is_an_error_and_asked_again(tmp_path: Path) -> None:
    folder, lost = small_set("mint", tmp_path), ["<solution> 2 </solution>", "<solution> 5 </solution>"]

    def judge(body: dict[str, Any]) -> str | Fault:
        text = str(body["messages"][1]["content"])
        if any(part in text for part in lost):
            return Fault.status(401)
        return "<analysis>a</analysis><critique>Say more.</critique><score>0.5</score>"

    with ChatServer(judge) as server:
        log = judge_log("mint", folder, server.base_url)
        assert log.status == "error"
        errors = [sample for sample in log.samples or () if sample.error]
        assert len(errors) == 2
        assert "the judge gave no verdict: ModelRejected" in str(errors[0].error)
        for sample in errors:
            own = (sample.scores or {})["score"]
            assert math.isnan(float(own.value))  # type: ignore[arg-type]
            assert (own.explanation or "").startswith(VerdictStatus.UNAVAILABLE)
        lost.clear()
        before = len(server.requests)
        [again] = eval_retry(log, log_dir=str(tmp_path / "logs"))
        asked = len(server.requests) - before
    assert again.status == "success"
    assert asked == 2
    assert again.results is not None
    assert again.results.scores[0].metrics["brier"].value == 0.25


def test_bad_input_is_told_before_anything_is_judged(tmp_path: Path) -> None:
    url = "http://127.0.0.1:9/v1"
    with pytest.raises(InvalidInput, match=r"pass -T data=DIR"):
        JUDGE_TASKS["mint"](judge=url)
    with pytest.raises(InvalidInput, match="nowhere"):
        JUDGE_TASKS["mint"](data=str(tmp_path / "nowhere"), judge=url)
    with pytest.raises(InvalidInput, match="draw at least 1"):
        JUDGE_TASKS["mint"](data=str(tmp_path), judge=url, items=0)
    with pytest.raises(InvalidInput, match="does not name a model"):
        JUDGE_TASKS["mint"](data=str(small_set("mint", tmp_path)), judge="nonsense")
