"""Converters: on the real files where they are, and on rows of the same shape."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from reagent_training.data.filters import broken_format, leaks, rendered
from reagent_training.data.record import LabelledTrajectory, LabelSource
from reagent_training.data.sources.registry import SOURCES, Conversion, convert

from reagent_sdk import Run, RunLog, Task, Trajectory
from reagent_sdk.errors import InvalidInput
from reagent_sdk.messages import assistant
from reagent_sdk.run import Attempt, StopReason
from reagent_sdk.verdict import Verdict

FOLDERS = {
    "agentprocessbench": "agentprocessbench",
    "mint": "mint",
    "plan-rewardbench": "plan_rewardbench",
    "tau-bench": "tau_bench",
    "who-and-when": "who_and_when",
    "mr-gsm8k": "mr_gsm8k_critiques",
    "realcritic": "realcritic",
    "big-bench-mistake": "big_bench_mistake",
}
_made: dict[str, tuple[list[LabelledTrajectory], Counter[str]]] = {}


def made(source: str, shared_data: Path) -> tuple[list[LabelledTrajectory], Counter[str]]:
    if source not in _made:
        left_out = Counter[str]()
        _made[source] = list(convert(Conversion(source, str(shared_data / FOLDERS[source])), left_out)), left_out
    return _made[source]


def lines(path: Path, *rows: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def of(source: str, given: Path | str, labels: Path | None = None) -> tuple[list[LabelledTrajectory], Counter[str]]:
    left_out = Counter[str]()
    return list(convert(Conversion(source, str(given), labels), left_out)), left_out


def test_every_source_is_tested_on_real_rows_or_on_rows_of_its_shape() -> None:
    assert {*FOLDERS, "run-log", "reagent"} == set(SOURCES)


@pytest.mark.parametrize("source", FOLDERS)
def test_real_rows_become_sound_records(source: str, shared_data: Path) -> None:
    records, _ = made(source, shared_data)
    assert len(records) > 50
    assert len({record.id for record in records}) == len(records)
    for record in records:
        assert record.licence
        assert broken_format(record) is None
        if record.source != "mint_critiques":  # real critiques may leak; the filter takes those out
            assert leaks(record) is None
        if record.correct is not None:
            assert record.has_targets
            assert record.score is not None
        read = rendered(record)
        assert "succeeded_after" not in read
        assert all(reason not in read for step in record.steps if len(reason := step.reason) > 20)


@pytest.mark.parametrize("source", ["agentprocessbench", "mint", "tau-bench", "realcritic", "big-bench-mistake"])
def test_right_work_scores_above_wrong_work_on_average(source: str, shared_data: Path) -> None:
    scores: dict[bool, list[float]] = {True: [], False: []}
    for record in made(source, shared_data)[0]:
        if record.correct is not None and record.score is not None:
            scores[record.correct].append(record.score)
    right, wrong = (sum(of) / len(of) for of in (scores[True], scores[False]))
    assert right > 0.5 > wrong + 0.1


def test_mint_keeps_critiques_with_what_came_of_them(shared_data: Path) -> None:
    records = [one for one in made("mint", shared_data)[0] if one.source == "mint_critiques"]
    assert len(records) > 1000
    effects = Counter(one.metadata["effect"] for one in records)
    assert effects["fixed"] > effects["broken"] > 0
    for record in records:
        assert not (record.critique or "").upper().startswith("THIS IS ")
        assert record.label_source is LabelSource.TEACHER
        assert "Your answer is wrong" not in rendered(record)
        assert "This is GOOD" not in rendered(record)


def test_one_question_is_one_group_in_all_sets(shared_data: Path) -> None:
    groups = [{one.group for one in made(name, shared_data)[0]} for name in ("mint", "mr-gsm8k", "realcritic")]
    assert groups[0] & groups[1]
    assert groups[0] & groups[2]


def test_plan_rewardbench_has_two_sides_of_every_pair(shared_data: Path) -> None:
    sides: dict[str | None, list[bool | None]] = {}
    for record in made("plan-rewardbench", shared_data)[0]:
        sides.setdefault(record.pair, []).append(record.preferred)
    assert all(sorted(map(str, found)) == ["False", "True"] for found in sides.values())


def test_agentprocessbench_labels_stand_at_the_agents_messages(shared_data: Path) -> None:
    for record in made("agentprocessbench", shared_data)[0]:
        assert record.steps
        assert all(record.trajectory.messages[step.message].role == "assistant" for step in record.steps)


def mistake(**changes: Any) -> dict[str, Any]:
    return {"input": "1 + 1 =", "steps": ["1 + 1", "3"], "target": "2", "answer": "3", "mistake_index": 1} | changes


def test_a_first_mistake_counts_for_all_that_builds_on_it(tmp_path: Path) -> None:
    rows = (
        mistake(),
        mistake(mistake_index=0),
        mistake(answer="2", mistake_index=None),
        mistake(answer="2"),
        mistake(mistake_index=None),
        mistake(answer=None),
    )
    records, left_out = of("big-bench-mistake", lines(tmp_path / "sums.jsonl", *rows))
    assert [one.score for one in records] == [0.3, 0.05, 0.9, 0.45, 0.3]
    assert [(step.message, step.label) for step in records[0].steps] == [(0, 1), (1, -1)]
    assert left_out == {"traces without a mistake and with a wrong answer": 1}


@pytest.mark.parametrize(
    ("source", "row", "said"),
    [
        ("big-bench-mistake", mistake(mistake_index=5), "mistake_index"),
        ("big-bench-mistake", mistake(target=None), "target"),
        ("realcritic", {"idx": 1, "question": "q", "reasoning": "r", "previous_score": []}, "previous_score"),
        ("mr-gsm8k", {"uuid": "u", "question": "q", "steps": ["a"], "first_error_step": 2}, "first_error_step"),
    ],
)
def test_a_malformed_row_is_named(tmp_path: Path, source: str, row: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=rf"line 1: .*{said}"):
        of(source, lines(tmp_path / "rows.jsonl", row))


def failure(**changes: Any) -> dict[str, Any]:
    return {
        "question": "Which gym?",
        "question_ID": "q1",
        "ground_truth": "Gym Nine",
        "history": [
            {"role": "human", "content": "Which gym?"},
            {"role": "Orchestrator (thought)", "content": "We plan."},
            {"role": "WebSurfer", "content": "I clicked an advert."},
            {"role": "user", "name": "Computer_terminal", "content": "exit code 0"},
        ],
        "mistake_agent": "WebSurfer",
        "mistake_step": "2",
        "mistake_reason": "It missed Gym Nine. It clicked an advert.",
    } | changes


def test_who_and_when_names_step_and_reason_and_not_the_answer(tmp_path: Path) -> None:
    (record,), _ = of("who-and-when", lines(tmp_path / "hand-crafted_full.jsonl", failure()))
    assert record.critique is not None
    assert record.critique.startswith("Step [2]: It clicked an advert.")
    assert "Gym Nine" not in record.critique
    assert "[2] assistant\nWebSurfer: I clicked" in rendered(record)
    assert record.score == 0.3
    with pytest.raises(InvalidInput, match="mistake_step"):
        of("who-and-when", lines(tmp_path / "hand-crafted_full.jsonl", failure(mistake_step="9")))


def a_run(id: str, **metadata: Any) -> Run:
    work = Trajectory(messages=(), answer=f"answer of {id}")
    attempt = Attempt(index=0, trajectory=work, verdict=Verdict.of(0.4, judge="j"))
    task = Task(question=f"Question {id}?", metadata=metadata)
    return Run(id=id, task=task, attempts=(attempt,), chosen=0, stop=StopReason.ROUNDS)


def test_runs_are_labelled_by_file_or_by_metadata(tmp_path: Path) -> None:
    log = RunLog(tmp_path / "runs.jsonl")
    for one in (a_run("a", label=True), a_run("b", label=1, group="g"), a_run("c"), a_run("d")):
        log.append(one)
    given: tuple[dict[str, Any], ...] = ({"id": "b", "label": 0}, {"id": "c", "label": True}, {"id": "x", "label": 1})
    labels = lines(tmp_path / "labels.jsonl", *given)
    records, left_out = of("run-log", log.path, labels)
    assert [(one.id, one.correct, one.score) for one in records] == [
        ("run_log/a", True, None),
        ("run_log/b", False, None),
        ("run_log/c", True, None),
    ]
    assert records[1].group == "g"
    assert records[0].trajectory.messages == (assistant("answer of a"),)
    assert records[0].metadata["verdict"] == {"judge": "j", "score": 0.4, "critique": ""}
    assert left_out == {"runs without a label": 1, "labels without a run": 1}


def test_a_damaged_run_log_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    RunLog(path).append(a_run("a", label=True))
    with path.open("a") as file:
        file.write('{"task": 3}\n')
    with pytest.raises(InvalidInput, match="row 2: not a run"):
        of("run-log", path)
    RunLog(tmp_path / "other.jsonl").append(a_run("a", label="yes"))
    with pytest.raises(InvalidInput, match='"label" must be true or false'):
        of("run-log", tmp_path / "other.jsonl")
    with pytest.raises(InvalidInput, match="there is no run log"):
        of("run-log", tmp_path / "none.jsonl")


ASKED = "Question: What is 6 times 7?\n\nAgent Trajectory: <think>6*7</think><answer>42</answer>"
JUDGED = "<think>It checks out.</think>\n<critique>Show the product.</critique>\n<score>0.8</score>"
SHAPES = [
    {"messages": [{"role": "user", "content": ASKED}, {"role": "assistant", "content": JUDGED}]},
    {"conversations": [{"from": "human", "value": ASKED}, {"from": "gpt", "value": JUDGED}]},
    {"instruction": "Judge.", "input": ASKED, "output": JUDGED},
    {"question": "What is 6 times 7?", "trajectory": "<think>6*7</think><answer>42</answer>", "output": JUDGED},
]


@pytest.mark.parametrize("shape", SHAPES, ids=["messages", "conversations", "instruction", "columns"])
def test_published_sets_in_any_shape_of_their_trainer(tmp_path: Path, shape: dict[str, Any]) -> None:
    other = json.loads(json.dumps(shape).replace("6 times 7", "6 plus 7").replace("<score>0.8</score>", "good"))
    records, left_out = of("reagent", lines(tmp_path / "set.jsonl", shape, other))
    (record,) = records
    assert (record.analysis, record.critique, record.score) == ("It checks out.", "Show the product.", 0.8)
    assert record.task.question == "What is 6 times 7?"
    assert record.trajectory.answer == "42"
    assert record.label_source is LabelSource.TEACHER
    assert left_out == {"targets that are no verdict": 1}


def test_published_sets_as_parquet_and_with_scores_alone(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    rows = [{"messages": [{"role": "user", "content": ASKED}], "score": 0.25}]
    pytest.importorskip("pyarrow.parquet").write_table(pyarrow.Table.from_pylist(rows), tmp_path / "rl.parquet")
    (record,), _ = of("reagent", tmp_path / "rl.parquet")
    assert (record.score, record.critique) == (0.25, None)


def test_unknown_columns_are_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"row 1: none of the known shapes.*its columns are audio, label"):
        of("reagent", lines(tmp_path / "set.jsonl", {"audio": "x", "label": 1}))


def test_labels_are_for_run_logs_alone(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="run-log"):
        of("mint", tmp_path, tmp_path / "labels.jsonl")
    with pytest.raises(InvalidInput, match="there is no source"):
        of("mnt", tmp_path)
