"""`reagent calibrate`: real files, a real judge server, real processes, and all that can be wrong with them."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from reagent_sdk import Attempt, Run, StopReason, Task, Trajectory, Verdict
from reagent_sdk.calibration.card import read_calibration
from reagent_sdk.cli import app
from reagent_sdk.specs import judge_for
from reagent_sdk.testing.server import ChatServer, Fault, Reply


@pytest.fixture(autouse=True)
def reagent_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REAGENT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("REAGENT_JUDGE", raising=False)
    monkeypatch.chdir(tmp_path)


def noise(text: str) -> float:
    """A number in [0, 1) that only the text decides."""
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) / 16**8


def verdict(score: float) -> str:
    return f"<analysis>\nlooked\n</analysis>\n<critique>\nShow it.\n</critique>\n<score>{score:.2f}</score>"


def sharp_judge(body: dict[str, Any]) -> str:
    """Scores right work from 0.5 to 0.9 and wrong work from 0.3 to 0.7."""
    record = str(body["messages"][1]["content"])
    mark = record[record.index("item") :].split()[0]
    return verdict((0.5 if "sound" in record else 0.3) + 0.4 * noise(mark))


def labelled(n: int, **extra: Any) -> list[dict[str, Any]]:
    rows = []
    for i in range(n):
        right = noise(f"label{i}") < 0.6
        answer = f"item{i} is {'sound' if right else 'shaky'}"
        rows.append({"id": f"r{i}", "question": f"q{i // 2}?", "answer": answer, "label": right} | extra)
    return rows


def written(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(f"{one if isinstance(one, str) else json.dumps(one)}\n" for one in rows))
    return path


def calibrate(*words: object) -> Any:
    return CliRunner().invoke(app, ["calibrate", *map(str, words), "--bootstrap", "50"])


def test_a_judge_is_measured_mapped_and_loaded_again(tmp_path: Path) -> None:
    file = written(tmp_path / "in.jsonl", labelled(80))
    out = tmp_path / "deep" / "card.json"
    with ChatServer(sharp_judge) as server:
        result = calibrate(file, "--judge", server.base_url, "--out", out, "--target", "0.6")
        assert len(server.requests) == 80
        assert result.exit_code == 0, result.stderr
        for told in ("80 labels on 40 questions", "AUROC", "constant", "length", "bag of words", "--judge calibrated:"):
            assert told in result.stdout
        card = read_calibration(out)
        assert (card.labels, card.spec, card.prompt_version) == (80, server.base_url, "rrm-1")
        assert card.figures["judge.auroc"].value == pytest.approx(0.86, abs=0.08)
        assert card.figures["judge.auroc"].low is not None
        assert card.figures["constant.auroc"].value == 0.5
        assert (card.figures["words.auroc"].value or 0) > 0.9  # the words give this judge's labels away
        assert (card.figures["mapped.brier"].value or 1) < (card.figures["judge.brier"].value or 0)
        assert card.map is not None
        assert card.gate is not None
        assert out.with_suffix(".png").read_bytes().startswith(b"\x89PNG")

        judge = judge_for(f"calibrated:{out}")
        again = calibrate(file, "--judge", server.base_url, "--out", out, "--target", "0.6", "--json")
        assert len(server.requests) == 80  # all verdicts were kept
    assert judge.gate == card.map(card.gate.threshold)
    data = json.loads(again.stdout)
    assert data["calibration"]["data_sha256"] == card.data_sha256
    assert data["calibration"]["figures"] == json.loads(out.read_text())["figures"]
    assert data["unscored"] == {}


def test_rows_with_scores_need_no_judge_and_runs_keep_their_verdicts(tmp_path: Path) -> None:
    rows = [
        {"id": f"{i}", "score": round(noise(f"s{i}"), 2), "judge": "big", "label": noise(f"l{i}") < noise(f"s{i}")}
        for i in range(60)
    ]
    result = calibrate(written(tmp_path / "scored.jsonl", rows), "--json", "--map", "none")
    assert result.exit_code == 0, result.stderr
    data = json.loads(result.stdout)
    card = data["calibration"]
    assert (card["judge"], card["spec"], card["map"], card["labels"]) == ("big", None, None, 60)
    assert "words.auroc" not in card["figures"]
    assert data["gate_refused"]["reason"]

    unnamed = [{name: value for name, value in row.items() if name != "judge"} for row in rows]
    refused = calibrate(written(tmp_path / "unnamed.jsonl", unnamed))
    assert (refused.exit_code, "which judge gave these scores?" in refused.stderr) == (2, True)

    with ChatServer(sharp_judge) as server:
        other = calibrate(tmp_path / "scored.jsonl", "--judge", server.base_url)
        assert other.exit_code == 2
        assert "cannot be compared" in other.stderr
        assert server.requests == []
        own = judge_for(server.base_url).name
        runs, labels = [], []
        for i, row in enumerate(labelled(20)):
            said = Verdict.of(0.5, judge=own if i < 15 else "other").model_copy(update={"prompt_version": "rrm-1"})
            attempt = Attempt(index=0, trajectory=Trajectory(answer=row["answer"]), verdict=said)
            task = Task.of(row["question"])
            run = Run(id=row["id"], task=task, attempts=(attempt,), chosen=0, stop=StopReason.ROUNDS)
            runs.append(run.model_dump(mode="json"))
            labels.append({"id": row["id"], "label": row["label"]})
        log, joined = (
            written(tmp_path / "runs.jsonl", runs),
            written(tmp_path / "labels.jsonl", [*labels[:-1], {"id": "gone", "label": 1}]),
        )
        result = calibrate(log, "--labels", joined, "--judge", server.base_url)
        assert len(server.requests) == 4  # the other judge's, but for the one without a label
    assert result.exit_code == 0, result.stderr
    assert "19 labels on" in result.stdout
    assert "1 records have no label and are left out: r19" in result.stderr
    assert "belong to no record: gone" in result.stderr


def test_failures_are_counted_and_never_a_number(tmp_path: Path) -> None:
    def patchy(body: dict[str, Any]) -> Reply | str:
        record = str(body["messages"][1]["content"])
        return Reply("no verdict") if "item1" in record else sharp_judge(body)  # item1, item10 .. item19

    file = written(tmp_path / "in.jsonl", labelled(40))
    with ChatServer(patchy) as server:
        result = calibrate(file, "--judge", server.base_url, "--json")
        assert result.exit_code == 0, result.stderr
        data = json.loads(result.stdout)
        assert (data["calibration"]["labels"], data["unscored"]) == (29, {"unparseable": 11})
        assert "no score for 11 of 40 records (unparseable 11)" in result.stderr
        few = calibrate(written(tmp_path / "few.jsonl", labelled(20)), "--judge", server.base_url, "--out", "few.json")
    assert few.exit_code == 3
    assert "no score for 11 of 20 records" in few.stderr
    assert not Path("few.json").exists()
    with ChatServer([Fault.status(400)]) as server:
        dead = calibrate(file, "--judge", server.base_url, "--out", "dead.json")
    assert (dead.exit_code, "unavailable" in dead.stderr) == (3, True)


def test_labels_of_revisions_give_a_rule(tmp_path: Path) -> None:
    rows = [
        {**row, "score": 0.2 if not row["label"] else 0.9, "judge": "j", "revised_label": True} for row in labelled(60)
    ]
    result = calibrate(written(tmp_path / "in.jsonl", rows), "--json")
    rule = json.loads(result.stdout)["calibration"]["revision"]
    assert (rule["pairs"], rule["broken"]) == (30, 0)  # one of the two attempts at each question
    assert rule["fixed"] == rule["revised"] > 5
    assert "revise" in calibrate(tmp_path / "in.jsonl").stdout


@pytest.mark.parametrize(
    ("rows", "words", "told"),
    [
        (["{"], [], "line 1: not JSON"),
        ([{"question": "q", "answer": "a"}], [], "holds no labelled work"),
        ([], [], "holds no labelled work"),
        (labelled(1), [], "need"),
        ([row | {"label": True} for row in labelled(9)], [], "(9) say right; a calibration needs right and wrong work"),
        (labelled(9, group="one"), [], "belong to one question"),
        (labelled(9), ["--labels", "missing.jsonl"], "cannot read missing.jsonl"),
        (labelled(9), ["--target", "10"], "--target lies between 0 and 1"),
        (labelled(9), ["--confidence", "0"], "--confidence lies between 0 and 1"),
        (labelled(9), ["--out", "in.jsonl"], "has two uses"),
        (labelled(9), ["--plot", "judge-calibration.json"], "has two uses"),
        (labelled(9), ["--out", "in.jsonl/card.json"], "cannot be written"),
        (labelled(9), ["--judge", "what is this"], "unknown judge"),
        (labelled(9), ["--map", "cubic"], "--map"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_judged(
    tmp_path: Path, rows: list[Any], words: list[str], told: str
) -> None:
    file = written(tmp_path / "in.jsonl", rows)
    before = file.read_bytes()
    with ChatServer([Fault.status(500)]) as server:
        result = calibrate(file, "--judge", server.base_url, *words)
        assert server.requests == []
    assert (result.exit_code, result.stdout) == (2, "")
    assert told in result.stderr
    assert [line[:7] for line in result.stderr.splitlines()][-1] == "error: "
    assert file.read_bytes() == before
    assert list(tmp_path.glob("*.json")) == []


def test_a_map_that_cannot_be_had_and_a_judge_that_is_calibrated_are_refused(tmp_path: Path) -> None:
    rows = [{**row, "score": 0.7, "judge": "flat"} for row in labelled(30)]
    file = written(tmp_path / "in.jsonl", rows)
    result = calibrate(file, "--map", "platt")
    assert (result.exit_code, "every score is 0.70" in result.stderr) == (2, True)
    auto = calibrate(file)
    assert auto.exit_code == 0, auto.stderr
    assert "no map: every score is 0.70" in auto.stdout
    with ChatServer(sharp_judge) as server:
        work = written(tmp_path / "work.jsonl", labelled(40))
        assert calibrate(work, "--judge", server.base_url, "--out", "card.json").exit_code == 0
        again = calibrate(work, "--judge", "calibrated:card.json", "--out", "other.json")
    assert (again.exit_code, "is calibrated already" in again.stderr) == (2, True)


def test_verdicts_of_another_judge_or_prompt_are_not_taken_over(tmp_path: Path) -> None:
    file = written(tmp_path / "in.jsonl", labelled(30))
    with ChatServer(sharp_judge) as server:
        words = (file, "--judge", server.base_url, "--verdicts", "v.jsonl")
        assert calibrate(*words).exit_code == 0
        other = calibrate(file, "--judge", f"{server.base_url}#other", "--verdicts", "v.jsonl")
        assert (other.exit_code, "as --verdicts" in other.stderr) == (2, True)
        kept = Path("v.jsonl")
        kept.write_text(kept.read_text().replace('"prompt_version": "rrm-1"', '"prompt_version": "rrm-0"'))
        old = calibrate(*words)
    assert (old.exit_code, "prompt versions rrm-0, rrm-1" in old.stderr) == (2, True)


def test_it_goes_on_after_sigkill(tmp_path: Path) -> None:
    file = written(tmp_path / "in.jsonl", labelled(30))
    stuck, killed = threading.Event(), threading.Event()
    asked: list[None] = []

    def stalls(body: dict[str, Any]) -> str:
        asked.append(None)
        if len(asked) == 13:
            stuck.set()
            killed.wait(240)
        return sharp_judge(body)

    words = ["calibrate", str(file), "--concurrency", "1", "--bootstrap", "20", "--json"]
    with ChatServer(stalls) as server:
        command = [sys.executable, "-m", "reagent_sdk", *words, "--judge", server.base_url]
        first = subprocess.Popen(command, cwd=tmp_path, env={**os.environ}, stderr=subprocess.PIPE)
        assert stuck.wait(240)
        first.send_signal(signal.SIGKILL)
        first.communicate(timeout=240)
        killed.set()
        assert not (tmp_path / "judge-calibration.json").exists()
        second = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert second.returncode == 0, second.stderr
    assert "12 of 30 records have a verdict" in second.stderr
    assert len(asked) == 31  # the one under way was asked for twice
    data = json.loads(second.stdout)
    assert (data["calibration"]["labels"], data["unscored"]) == (30, {})


@pytest.mark.real_model
def test_a_real_judge_on_real_work(tmp_path: Path, smollm: Path) -> None:
    rows = [
        {"question": "What is 2 + 2?", "answer": "2 + 2 = 4, so 4.", "label": True},
        {"question": "What is the capital of France?", "answer": "Rome, surely.", "label": False},
    ]
    file = written(tmp_path / "in.jsonl", rows)
    result = calibrate(file, "--judge", f"local:{smollm}", "--json", "--concurrency", "1")
    assert result.exit_code == 0, result.stderr
    data = json.loads(result.stdout)
    assert data["calibration"]["labels"] + sum(data["unscored"].values()) == 2
    assert 0 <= data["calibration"]["figures"]["judge.brier"]["value"] <= 1
    assert (tmp_path / "judge-calibration.png").exists()
