"""`reagent data`: from files to files, with cards beside them, and one clear line where something is wrong."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from commands import Commands
from reagent_training.cli_data import app
from reagent_training.data.files import read_set, write_set
from reagent_training.data.record import LabelledTrajectory, as_record

commands = Commands(app)
run, refused = commands.run, commands.refused


def record(number: int, **changes: Any) -> LabelledTrajectory:
    data = {
        "id": f"r{number}",
        "group": f"q{number // 2}",
        "source": "test",
        "label_source": "human",
        "licence": "MIT",
        "task": {"question": f"What is {number} plus one?", "id": "t"},
        "trajectory": {"messages": [{"role": "assistant", "content": f"I add {number} and one."}], "answer": "x"},
        "correct": number % 2 == 0,
        "score": 0.9 if number % 2 == 0 else 0.2,
        "critique": "Show each step of the sum.",
        "analysis": "One step, no calls.",
    }
    return as_record(data | changes, "made")


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    path = tmp_path / "all.jsonl"
    write_set((record(number) for number in range(60)), path)
    return path


def mistakes(path: Path) -> Path:
    rows = [
        {"input": f"{n} + 1 =", "steps": ["add", "so"], "target": "2", "answer": "2", "mistake_index": None}
        for n in range(40)
    ]
    path.mkdir()
    (path / "sums.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_convert_writes_a_set_and_its_card(tmp_path: Path) -> None:
    out = tmp_path / "bbm.parquet"
    (card,) = json.loads(run("convert", "big-bench-mistake", mistakes(tmp_path / "in"), out, "--json").stdout)
    assert card["summary"]["rows"] == 40
    assert card["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()
    assert card == json.loads((tmp_path / "bbm.parquet.card.json").read_text())
    text = (tmp_path / "bbm.parquet.card.md").read_text()
    assert card["sha256"] in text
    assert "| big_bench_mistake | 40 | 40 | human | 40 | 0 | 0.90 | 0 | Apache-2.0 |" in text
    assert len(list(read_set(out))) == 40


def test_convert_can_split_at_once(tmp_path: Path) -> None:
    run("convert", "big-bench-mistake", mistakes(tmp_path / "in"), tmp_path / "out", "--split", "a=0.5,b=0.5")
    parts = [{one.group for one in read_set(tmp_path / "out" / f"{part}.jsonl")} for part in "ab"]
    assert not parts[0] & parts[1]
    assert len(parts[0] | parts[1]) == 40


def test_split_keeps_questions_together_and_tells_sizes(tmp_path: Path, whole: Path) -> None:
    run("split", whole, tmp_path / "sets", "--shares", "train=0.6,test=0.4", "--seed", 3)
    parts = {part: list(read_set(tmp_path / "sets" / f"{part}.jsonl")) for part in ("train", "test")}
    assert not {one.group for one in parts["train"]} & {one.group for one in parts["test"]}
    assert sorted(one.id for part in parts.values() for one in part) == sorted(one.id for one in read_set(whole))
    card = json.loads((tmp_path / "sets" / "test.jsonl.card.json").read_text())
    assert card["split"]["rows"] == {part: len(rows) for part, rows in parts.items()}
    assert card["split"]["seed"] == 3


def test_rows_that_come_later_move_no_question(tmp_path: Path, whole: Path) -> None:
    run("split", whole, tmp_path / "before", "--shares", "train=0.6,test=0.4")
    write_set((record(number) for number in reversed(range(200))), tmp_path / "more.jsonl")
    run("split", tmp_path / "more.jsonl", tmp_path / "after", "--shares", "train=0.6,test=0.4")
    for part in ("train", "test"):
        before = {one.id for one in read_set(tmp_path / "before" / f"{part}.jsonl")}
        assert before <= {one.id for one in read_set(tmp_path / "after" / f"{part}.jsonl")}


def test_filter_counts_and_the_card_remembers_all_steps(tmp_path: Path, whole: Path) -> None:
    write_set([*read_set(whole), record(0, id="twin"), record(3, id="leak", critique="The answer is 77.")], whole)
    evaluation = tmp_path / "eval.jsonl"
    evaluation.write_text(json.dumps({"question": "What is 5 plus one?"}) + "\n")
    run("merge", whole, "--out", tmp_path / "merged.parquet")
    out = tmp_path / "clean.jsonl.gz"
    filters = ("--against", evaluation, "--skip", "near-duplicates")
    (card,) = json.loads(run("filter", tmp_path / "merged.parquet", out, *filters, "--json").stdout)
    assert [step["command"] for step in card["steps"]] == ["merge", "filter"]
    assert card["steps"][1]["left_out"] == {
        "exact duplicate": 1,
        "the critique gives the answer away": 1,
        "the question is in an evaluation set": 1,
    }
    assert {one.id for one in read_set(out)} == {f"r{number}" for number in range(60)} - {"r5"}
    assert "left out: 1 exact duplicate" in (tmp_path / "clean.jsonl.gz.card.md").read_text()


def test_show_and_stats_and_help(tmp_path: Path, whole: Path) -> None:
    assert "What is 3 plus one?" in run("show", whole).stdout
    one = run("show", whole, "--row", 8).stdout
    assert "Show each step of the sum." in one
    assert "I add 7 and one." in one
    assert json.loads(run("show", whole, "--id", "r7", "--json").stdout) == record(7).model_dump(mode="json")
    assert "no row 99" in refused("show", whole, "--row", 99)
    stats = json.loads(run("stats", whole, "--json").stdout)
    assert stats["score_histogram"] == [0, 0, 30, 0, 0, 0, 0, 0, 0, 30]
    assert stats["sources"]["test"]["right"] == 30
    assert "60 rows, 30 questions" in run("stats", whole).stdout
    for command in ("convert", "show", "stats", "split", "filter", "merge"):
        assert "Examples:" in run(command, "--help").stdout


BAD = {
    "a missing label": ({"correct": None, "score": None, "critique": None}, "the label is missing"),
    "score 7": ({"score": 7}, "score"),
    "an empty trajectory": ({"trajectory": {"messages": [], "answer": ""}}, "trajectory"),
    "mixed prompt versions": ({"prompt_version": "rrm-0"}, "prompt_version"),
}


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("command", ["split", "filter", "merge", "stats"])
def test_bad_data_is_one_line_and_writes_nothing(tmp_path: Path, whole: Path, command: str, bad: str) -> None:
    changes, field = BAD[bad]
    rows = [json.loads(line) for line in whole.read_text().splitlines()]
    rows[41] |= changes
    whole.write_text("".join(json.dumps(row) + "\n" for row in rows))
    out = tmp_path / "out.jsonl"
    words = {
        "split": ("split", whole, tmp_path / "sets", "--shares", "a=0.5,b=0.5"),
        "filter": ("filter", whole, out),
        "merge": ("merge", whole, "--out", out),
        "stats": ("stats", whole),
    }
    said = refused(*words[command])
    assert "row 42" in said
    assert field in said
    assert [path.name for path in tmp_path.iterdir()] == ["all.jsonl"]


def test_a_truncated_parquet_file_writes_nothing(tmp_path: Path, whole: Path) -> None:
    path = tmp_path / "all.parquet"
    run("merge", whole, "--out", path)
    path.write_bytes(path.read_bytes()[:-500])
    (tmp_path / "all.parquet.card.json").unlink()
    assert "after row 0" in refused("filter", path, tmp_path / "out.jsonl")
    assert not (tmp_path / "out.jsonl").exists()


def test_other_mistakes_are_one_line(tmp_path: Path, whole: Path) -> None:
    assert "must end with" in refused("merge", whole, "--out", tmp_path / "x.csv")
    assert "named twice" in refused("merge", whole, whole, "--out", tmp_path / "x.jsonl")
    assert "add up to 1" in refused("split", whole, tmp_path / "s", "--shares", "a=0.5,b=0.4")
    assert "leave nothing" in refused("filter", whole, tmp_path / "x.jsonl", "--min-chars", 9999)
    assert "belong together" in refused("filter", whole, tmp_path / "x.jsonl", "--max-tokens", 5)
    assert "too few" in refused("split", whole, tmp_path / "s", "--shares", "a=0.999999,b=0.000001")
    assert "there is no" in refused("convert", "mint", tmp_path / "none", tmp_path / "x.jsonl")
    assert not (tmp_path / "s").exists()
    (tmp_path / "all.jsonl.card.json").write_text("{}")
    assert "no data card" in refused("merge", whole, "--out", tmp_path / "x.jsonl")


def test_the_commands_are_found_by_entry_point() -> None:
    from importlib.metadata import entry_points

    (point,) = entry_points(group="reagent_sdk.commands", name="data")
    assert point.load() is app


def test_labels_are_what_calibration_reads(tmp_path: Path, whole: Path) -> None:
    from reagent_sdk.calibration.labels import read_labelled

    sides = {"pair": "p", "correct": None, "score": None, "critique": None, "analysis": None, "group": "p"}
    pairs = [record(70 + side, preferred=side == 0, **sides) for side in (0, 1)]
    write_set([record(100, source="other"), *pairs], tmp_path / "more.jsonl")
    out = tmp_path / "labelled.jsonl"
    told = json.loads(run("labels", whole, tmp_path / "more.jsonl", "--out", out, "--json").stdout)
    assert told == {"rows": 61, "left out": 2, "file": str(out)}
    work = read_labelled(out)
    expected = {row.id: (bool(row.correct), row.group, row.trajectory) for row in [*read_set(whole), record(100)]}
    read = {row.id: (row.label, row.group, row.record and row.record.trajectory) for row in work.rows}
    assert {key: of[:2] for key, of in read.items()} == {key: of[:2] for key, of in expected.items()}
    for key, (_, _, trajectory) in read.items():
        assert trajectory is not None
        assert (trajectory.answer, trajectory.messages) == (expected[key][2].answer, expected[key][2].messages)
    assert "1 labelled rows" in run("labels", tmp_path / "more.jsonl", "--only", "other", "--out", out).stderr
    assert "ids must differ" in refused("labels", whole, whole, "--out", tmp_path / "no.jsonl")
    assert "nothing to calibrate on" in refused("labels", whole, "--only", "none", "--out", tmp_path / "no.jsonl")
    assert not (tmp_path / "no.jsonl").exists()
