"""Reading labelled work: every shape, every way in which it can be wrong, and nothing dropped in silence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reagent_sdk import Attempt, Run, StopReason, Task, Trajectory, Verdict
from reagent_sdk.calibration.labels import Label, data_sha256, read_labelled, read_labels
from reagent_sdk.errors import InvalidInput


def written(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(f"{one if isinstance(one, str) else json.dumps(one)}\n" for one in rows))
    return path


def a_run(identity: str, answers: tuple[str, ...] = ("a",)) -> dict[str, Any]:
    attempts = tuple(
        Attempt(index=i, trajectory=Trajectory(answer=one), verdict=Verdict.of(0.4 + i / 10, judge="j"))
        for i, one in enumerate(answers)
    )
    chosen = len(answers) - 1 if answers else None
    run = Run(id=identity, task=Task.of("asked"), attempts=attempts, chosen=chosen, stop=StopReason.ROUNDS)
    return run.model_dump(mode="json")


def test_every_shape_is_read(tmp_path: Path) -> None:
    talk = [{"role": "user", "content": "Sum?"}, {"role": "assistant", "content": "2"}]
    file = written(
        tmp_path / "in.jsonl",
        [
            {"id": 1, "question": "q", "answer": "a", "label": True, "group": 7, "revised_label": 0},
            "",
            {"id": "talk", "messages": talk, "label": 0},
            {"id": "bare", "score": 1, "judge": "big", "prompt_version": "rrm-1", "label": 1},
            {"id": "full", "question": "q", "answer": "a", "score": 0.25, "label": False},
            {"id": "none", "score": None, "label": True},
            a_run("run", ("first", "second")) | {"label": True, "group": "g"},
        ],
    )
    work = read_labelled(file)
    rows = {row.id: row for row in work.rows}
    assert [(row.id, row.line, row.label, row.group) for row in work.rows] == [
        ("1", 1, True, "7"),
        ("talk", 3, False, "Sum?"),
        ("bare", 4, True, "bare"),
        ("full", 5, False, "q"),
        ("none", 6, True, "none"),
        ("run", 7, True, "g"),
    ]
    assert (rows["1"].revised, rows["talk"].revised) == (False, None)
    assert [one for one, row in rows.items() if row.record is None] == ["bare", "none"]
    assert [one for one, row in rows.items() if row.scored_row] == ["bare", "full", "none"]
    verdicts = {one: row.verdict for one, row in rows.items() if row.verdict}
    assert {one: verdict.score for one, verdict in verdicts.items()} == {
        "bare": 1.0,
        "full": 0.25,
        "none": None,
        "run": 0.5,
    }
    assert (verdicts["bare"].judge, verdicts["bare"].prompt_version) == ("big", "rrm-1")
    assert rows["run"].record is not None
    assert rows["run"].record.trajectory.answer == "second"


def test_labels_are_joined_by_id_and_what_has_no_partner_is_told(tmp_path: Path) -> None:
    labels = read_labels(written(tmp_path / "l.jsonl", [{"id": "r1", "label": 1}, {"id": "gone", "label": False}]))
    assert labels == {"r1": Label(True), "gone": Label(False)}
    file = written(tmp_path / "runs.jsonl", [a_run("r1"), a_run("r2"), a_run("empty", ())])
    work = read_labelled(file, labels)
    assert [(row.id, row.label, row.group) for row in work.rows] == [("r1", True, "asked")]
    assert (work.unlabelled, work.unmatched, work.empty_runs) == (("r2",), ("gone",), 1)


def test_a_label_that_contradicts_itself_is_refused(tmp_path: Path) -> None:
    file = written(tmp_path / "in.jsonl", [{"id": "x", "question": "q", "answer": "a", "label": True, "group": "here"}])
    assert read_labelled(file, {"x": Label(True)}).rows[0].group == "here"
    assert read_labelled(file, {"x": Label(True, "there", True)}).rows[0].group == "there"
    with pytest.raises(InvalidInput, match=r"line 1: the label of 'x' is not that in the file of labels"):
        read_labelled(file, {"x": Label(False)})


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{", "not JSON"),
        ("[1]", "a JSON object is needed"),
        ({"id": "n", "score": 0.5, "label": -1}, '"label" must be true or 1 for right'),
        ({"id": "n", "score": 0.5, "label": "yes"}, '"label" must be'),
        ({"id": "n", "score": 0.5, "label": 1, "revised_label": 2}, '"revised_label" must be'),
        ({"id": "n", "score": 0.5, "label": 1, "group": ["g"]}, '"group" must be'),
        ({"id": "n", "score": 1.5, "label": 1}, '"score" must be a number in [0, 1]'),
        ({"id": "n", "score": True, "label": 1}, '"score" must be'),
        ('{"id": "n", "score": NaN, "label": 1}', '"score" must be'),
        ({"id": "n", "score": 0.5, "judge": 3, "label": 1}, '"judge" and "prompt_version" must be texts'),
        ({"score": 0.5, "label": 1}, 'needs an "id"'),
        ({"id": {}, "score": 0.5, "label": 1}, '"id" must be'),
        ({"id": "first", "score": 0.5, "label": 1}, "is that of line 1 already"),
        ({"id": "first", "question": "q", "answer": "b", "label": 1}, "is that of line 1 already"),
        ({"question": "q", "label": 1}, "none of the known shapes"),
        ({"task": {}, "attempts": [], "label": 1}, "not a run that this release reads"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_a_malformed_line_is_named(tmp_path: Path, line: Any, told: str) -> None:
    file = written(tmp_path / "in.jsonl", [{"id": "first", "question": "q", "answer": "a", "label": 1}, "", line])
    with pytest.raises(InvalidInput) as caught:
        read_labelled(file)
    assert f"{file}, line 3: " in str(caught.value)
    assert told in str(caught.value)


def test_malformed_labels_are_named(tmp_path: Path) -> None:
    for bad, told in (
        ({"id": "a"}, "a label is"),
        ({"label": 1}, "a label is"),
        ({"id": "one", "label": 0}, "has a label already"),
    ):
        file = written(tmp_path / "l.jsonl", [{"id": "one", "label": 1}, bad])
        with pytest.raises(InvalidInput, match=f"line 2: .*{told}"):
            read_labels(file)
    with pytest.raises(InvalidInput, match="cannot read"):
        read_labels(tmp_path / "missing.jsonl")


def test_the_digest_of_the_data_knows_content_and_not_order() -> None:
    rows = [("a", 0.5, True), ("b", 1.0, False)]
    assert data_sha256(rows) == data_sha256(reversed(rows))
    assert len({data_sha256(rows), data_sha256(rows[:1]), data_sha256([rows[0], ("b", 1.0, True)])}) == 3
