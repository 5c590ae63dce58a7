"""The data sets that judges are measured on: what an item is, and that nothing tells the judge its label."""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from reagent_benchmarks.judging import mint
from reagent_benchmarks.judging.datasets import DataSet, load
from reagent_benchmarks.judging.export import exported
from reagent_benchmarks.judging.items import NO_ANSWER, JudgedItem

from reagent_sdk.errors import InvalidInput
from reagent_sdk.records import read_records
from reagent_sdk.rendering import render_record

from .judge_rows import apb_row, mint_row, observed, plan_row, said, small_set, tau_row, when_row, written

Change = Callable[[dict[str, Any]], None]


def shown(item: JudgedItem) -> str:
    """All that a judge of any kind is given, as text."""
    return item.task.model_dump_json(exclude={"id"}) + item.trajectory.model_dump_json()


def record(item: JudgedItem) -> str:
    return render_record(item.task, item.trajectory, max_chars=10**7).text


def files(data: Path, dataset: DataSet) -> list[Path]:
    patterns = {"agentprocessbench": "*_trajectories.jsonl", "who_and_when": "*_full.jsonl"}
    pattern = patterns.get(dataset, "*.jsonl")
    return sorted((data / dataset).glob(pattern))


def changed(data: Path, dataset: DataSet, to: Path, change: Change) -> Path:
    """A copy of the data set with every row changed."""
    for file in files(data, dataset):
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        for row in rows:
            change(row)
        written(to / file.name, rows)
    return to


@pytest.mark.parametrize(
    ("dataset", "items", "right", "groups", "left_out"),
    [
        ("agentprocessbench", 165, 111, 33, {}),
        ("mint", 380, 109, 122, {"runs that propose no solution": 104, "runs with a critic": 547}),
        ("plan_rewardbench", 794, 397, 241, {}),
        ("tau_bench", 128, 55, 32, {}),
        ("who_and_when", 56, 0, 31, {}),
    ],
)
def test_the_public_rows_are_read(
    shared_data: Path, dataset: str, items: int, right: int, groups: int, left_out: dict[str, int]
) -> None:
    loaded = load(DataSet(dataset), shared_data / dataset)
    assert (len(loaded.items), sum(item.label for item in loaded.items)) == (items, right)
    assert len({item.group for item in loaded.items}) == groups
    assert loaded.left_out == left_out
    assert len(load(DataSet(dataset), shared_data).items) == items  # the folder above will do as well


def hide_mint(row: dict[str, Any]) -> None:
    cut = mint.cut_at_first_solution(row["turns"])
    row.update(reference="LEAK", agent_action_count={"LEAK": 1}, success=False, terminate_reason="LEAK", agent="LEAK")
    if cut is not None:
        row["turns"] = [*row["turns"][: cut.turn + 1], observed("LEAK"), said("LEAK")]


def hide_apb(row: dict[str, Any]) -> None:
    row.update(ground_truth="LEAK", answer_text="LEAK", tool_metrics="LEAK", step_labels={}, final_label=-1)
    row.update(total_index=0, question=f"LEAK {row['query_index']}")


def hide_tau(row: dict[str, Any]) -> None:
    row.update(reward=0, task={"LEAK": "LEAK"})
    while row["traj"][-1]["role"] == "user":
        row["traj"].pop()
    row["traj"].append({"role": "user", "content": "LEAK"})


@pytest.mark.parametrize(
    ("dataset", "hide"),
    [(DataSet.MINT, hide_mint), (DataSet.AGENTPROCESSBENCH, hide_apb), (DataSet.TAU_BENCH, hide_tau)],
)
def test_what_the_judge_sees_does_not_depend_on_what_it_must_not_see(
    shared_data: Path, tmp_path: Path, dataset: DataSet, hide: Change
) -> None:
    items = load(dataset, shared_data / dataset).items
    blind = load(dataset, changed(shared_data, dataset, tmp_path / dataset, hide)).items
    assert [shown(item) for item in items] == [shown(item) for item in blind]
    assert any(item.label for item in items)
    assert not any(item.label for item in blind)  # the change did reach the labels
    assert "LEAK" not in "".join(map(record, blind))


def hide_when(row: dict[str, Any]) -> None:
    place = next(index for index in (2, 0) if row["history"][index].get("name") != "Computer_terminal")
    row.update(is_correct=True, ground_truth="LEAK", level="LEAK", mistake_agent="LEAK", mistake_reason="LEAK")
    row.update(mistake_step=str(place))


def test_logs_of_failures_do_not_tell_the_decisive_step(shared_data: Path, tmp_path: Path) -> None:
    dataset = DataSet.WHO_AND_WHEN
    items = {item.id: item for item in load(dataset, shared_data / dataset).items}
    blind = load(dataset, changed(shared_data, dataset, tmp_path / dataset, hide_when)).items
    assert all(shown(item) == shown(items[item.id]) for item in blind)
    assert len(blind) > 40
    assert any(item.steps != items[item.id].steps for item in blind)  # the change did reach the labels
    assert "LEAK" not in "".join(map(record, blind))


def swap_sides(row: dict[str, Any]) -> None:
    row["chosen"], row["reject"] = row["reject"], row["chosen"]


def name_no_results(row: dict[str, Any]) -> None:
    for side in ("chosen", "reject"):
        for message in row[side]["messages"]:
            message.pop("name", None)


def test_the_sides_of_a_pair_differ_by_nothing_but_their_work(shared_data: Path, tmp_path: Path) -> None:
    dataset = DataSet.PLAN_REWARDBENCH
    items = load(dataset, shared_data / dataset).items
    swapped = load(dataset, changed(shared_data, dataset, tmp_path / "swapped", swap_sides)).items
    assert [shown(item) for item in items[::2]] == [shown(item) for item in swapped[1::2]]
    assert [shown(item) for item in items[1::2]] == [shown(item) for item in swapped[::2]]
    assert [item.label for item in items] == [item.label for item in swapped]
    nameless = load(dataset, changed(shared_data, dataset, tmp_path / "nameless", name_no_results)).items
    assert [shown(item) for item in items] == [shown(item) for item in nameless]
    results = [m for item in items for m in item.trajectory.messages if m.role == "tool"]
    assert all(message.name for message in results)
    assert not {m.role for item in items for m in item.trajectory.messages} & {"tool_call", "tool_response"}


def test_no_feedback_of_the_environment_is_in_any_record(shared_data: Path) -> None:
    assert all("Your answer is wrong" in file.read_text() for file in files(shared_data, DataSet.MINT))
    for item in load(DataSet.MINT, shared_data).items:
        assert "Your answer is wrong" not in shown(item)
    for item in load(DataSet.TAU_BENCH, shared_data).items:
        assert "###STOP###" not in shown(item)
        assert "Airline Agent Policy" in record(item)  # nobody can judge this work without it


@pytest.mark.parametrize("dataset", list(DataSet))
def test_exported_items_are_read_back_as_what_was_judged(shared_data: Path, dataset: DataSet) -> None:
    items = load(dataset, shared_data / dataset).items[::7]
    lines = [json.dumps(exported(item)).encode() for item in items]
    for item, one in zip(items, read_records(lines, "exported"), strict=True):
        assert one is not None
        assert (one.id, one.task.question, one.task.history) == (item.id, item.task.question, item.task.history)
        assert one.trajectory == item.trajectory


@pytest.mark.parametrize("dataset", list(DataSet))
def test_small_sets_of_the_same_layout(tmp_path: Path, dataset: DataSet) -> None:
    loaded = load(dataset, small_set(dataset, tmp_path))
    count = 12 if dataset == DataSet.PLAN_REWARDBENCH else 6
    labels = {False: 6} if dataset == DataSet.WHO_AND_WHEN else {True: count // 2, False: count // 2}
    assert Counter(item.label for item in loaded.items) == labels
    assert len({item.id for item in loaded.items}) == count
    assert all(record(item) for item in loaded.items)


def test_mint_is_cut_at_the_first_solution() -> None:
    row = mint_row(7, right=True, first=False)
    cut = mint.cut_at_first_solution(row["turns"])
    assert cut is not None
    assert (cut.turn, cut.is_last, cut.trajectory.answer) == (2, False, "7")
    thought, result, solution = cut.trajectory.messages
    assert (thought.text, [call.name for call in thought.tool_calls or ()]) == ("I compute 7.", ["python"])
    assert json.loads((thought.tool_calls or ())[0].arguments_text) == {"code": "print(7)"}
    assert (result.role, result.tool_call_id, result.text.split("\n")[0]) == ("tool", "call_0", "7")
    assert solution.text == "<solution> 7 </solution>"


@pytest.mark.parametrize(
    ("turns", "answer"),
    [
        ([said("<solution> a </solution> or <solution>b</solution>")], "a\nb"),
        ([said("<solution> never closed"), observed("x"), said("<solution>c</solution>")], "c"),
        ([said("<solution>  </solution>"), observed("x"), said("<solution>d</solution>")], "d"),
        ([said("<execute>1</execute> Observation: 1 <solution>e</solution>")], "e"),
        ([said("I give up")], None),
        ([observed("<solution>f</solution>")], None),
        ([], None),
    ],
)
def test_what_counts_as_a_solution(turns: list[dict[str, str]], answer: str | None) -> None:
    cut = mint.cut_at_first_solution(turns)
    assert (cut and cut.trajectory.answer) == answer


def test_code_beside_a_solution_was_never_run_and_odd_turns_are_kept() -> None:
    messages = mint.as_messages(
        [
            said("<execute> </execute> hm"),
            observed("I don't understand your input."),
            {"role": "critique", "content": "This is GOOD."},
            said("<execute>1</execute> <solution>2</solution>"),
        ]
    )
    assert [message.role for message in messages] == ["assistant", "user", "user", "assistant"]
    assert not any(message.tool_calls for message in messages)
    assert "<execute>1</execute>" in messages[-1].text


def test_mint_labels(tmp_path: Path) -> None:
    rows = [
        mint_row(0, right=True),
        mint_row(1, right=True, first=False),
        mint_row(2, right=False),
        mint_row(3, right=False, turns=[said("<solution>3</solution>")], terminate_reason="max_steps"),
        mint_row(4, right=False, turns=[said("<solution>4</solution>")], terminate_reason="error"),
        mint_row(5, right=True, critic="gpt-4-0613+GT"),
        mint_row(6, right=False, turns=[said("no idea")]),
    ]
    loaded = load(DataSet.MINT, written(tmp_path / "trajectories_math.jsonl", rows))
    assert {item.id[-1]: item.label for item in loaded.items} == {"0": True, "1": False, "2": False, "3": False}
    assert sum(loaded.left_out.values()) == 3
    both = mint.load(tmp_path, critics=("none", "gpt-4-0613+GT"))
    assert {item.id[-1] for item in both} == {"0", "1", "2", "3", "5"}


def test_agentprocessbench_labels_and_steps(tmp_path: Path) -> None:
    cut_off = apb_row(1, 0, right=False)
    cut_off["messages"].pop()
    rows = [apb_row(0, 0, right=True), apb_row(0, 1, right=False), cut_off | {"step_labels": {}}]
    first, second, third = load(DataSet.AGENTPROCESSBENCH, written(tmp_path / "a_trajectories.jsonl", rows)).items
    assert (first.label, first.steps, second.label, second.steps) == (True, {0: 1, 2: 1}, False, {0: 1, 2: -1})
    assert (first.group == second.group, first.group == third.group) == (True, False)
    assert first.trajectory.answer == "<answer>good</answer>"
    assert third.trajectory.answer == NO_ANSWER
    assert first.trajectory.messages[1].tool_call_id == "call_1"
    assert "served" not in record(first)
    assert "- search(): Searches." in record(first)


def test_logs_of_failures_are_steps_of_named_agents(tmp_path: Path) -> None:
    rows = [when_row(1), when_row(2, step=4), when_row(3, step=3)]
    loaded = load(DataSet.WHO_AND_WHEN, written(tmp_path / "x_full.jsonl", rows))
    assert loaded.left_out == {"failures by a step that is no agent's": 1}
    first, second = loaded.items
    assert (first.id, first.label, first.steps, second.steps) == ("x/id-1", False, {2: -1}, {4: -1})
    assert "[2] assistant\nCoder: print(1)\n\n[3] result of Computer_terminal\nexitcode: 0\n1" in record(first)
    assert first.trajectory.answer == "Orchestrator: It is 1."
    assert "truth" not in record(first)
    assert "because" not in record(first)


def test_pairs_that_are_no_pairs_are_left_out_and_json_texts_are_read(tmp_path: Path) -> None:
    same = plan_row(1)
    same["reject"] = copy.deepcopy(same["chosen"])
    as_text = plan_row(2)
    as_text = {
        key: json.dumps(value) if key in ("tools", "chosen", "reject") else value for key, value in as_text.items()
    }
    loaded = load(DataSet.PLAN_REWARDBENCH, written(tmp_path / "p.jsonl", [same, as_text, plan_row(2)]))
    assert loaded.left_out == {"pairs whose sides are the same": 1}
    assert [item.pair for item in loaded.items] == ["p/uuid-2/1"] * 2 + ["p/uuid-2/2"] * 2
    assert "- clock(): Tells the time." in record(loaded.items[0])
    assert '-> calls clock call_1: {"zone": "UTC"}' in record(loaded.items[0])


def test_tool_calls_that_cannot_be_read_are_kept_as_text(tmp_path: Path) -> None:
    row = plan_row(1)
    row["chosen"]["messages"][1]["content"] = "__import__('os').system('true')"
    (item, _) = load(DataSet.PLAN_REWARDBENCH, written(tmp_path / "p.jsonl", [row])).items
    assert "(unreadable call) call_1: __import__('os')" in record(item)


BAD = [
    (DataSet.MINT, "{", "not JSON"),
    (DataSet.MINT, "[1]", "a JSON object is needed"),
    (DataSet.MINT, mint_row(1, right=True, turns=None), '"turns" must be a list'),
    (DataSet.MINT, mint_row(1, right=True, turns=[{"role": "ghost"}, said("<solution>1</solution>")]), "turn 0"),
    (DataSet.MINT, mint_row(1, right=True, success="yes"), '"success" must be true or false'),
    (DataSet.MINT, mint_row(1, right=True, question=" "), "the task is empty"),
    (DataSet.MINT, {"question": "q", "turns": []}, '"critic" must be a text, and is missing'),
    (DataSet.MINT, mint_row(0, right=True), "is a file in the folder twice"),
    (DataSet.WHO_AND_WHEN, when_row(1, step=5), '"mistake_step" must be the index of one of 5 entries'),
    (DataSet.WHO_AND_WHEN, when_row(1, history=["text"]), 'each entry of "history" must be an object'),
    (DataSet.AGENTPROCESSBENCH, apb_row(1, 1, right=True, final_label=2), '"final_label" must be one of 1, -1'),
    (DataSet.AGENTPROCESSBENCH, apb_row(1, 1, right=True, messages=[]), "chat messages that is not empty"),
    (DataSet.AGENTPROCESSBENCH, apb_row(1, 1, right=True, messages=[{"content": "x"}]), "message 0"),
    (DataSet.AGENTPROCESSBENCH, apb_row(1, 1, right=True, messages=[said("x")]), "a request of the user"),
    (DataSet.AGENTPROCESSBENCH, apb_row(1, 1, right=True, step_labels={"a": 1}), '"step_labels" maps'),
    (DataSet.TAU_BENCH, tau_row(1, 1, right=True, reward=0.5), '"reward" must be one of 1.0, 0.0'),
    (DataSet.TAU_BENCH, tau_row(1, 1, right=True, traj="x"), '"traj" must be a list'),
    (DataSet.PLAN_REWARDBENCH, plan_row(1, chosen={}), '"chosen" must hold a list'),
    (DataSet.PLAN_REWARDBENCH, plan_row(1, chosen={"messages": [{"role": "i", "content": ""}]}), "unknown role 'i'"),
    (DataSet.PLAN_REWARDBENCH, plan_row(1, reject={"messages": [said("x")]}), '"reject" must hold a request'),
    (DataSet.PLAN_REWARDBENCH, plan_row(1, uuid=3), '"uuid" must be a text'),
]  # fmt: skip
GOOD = {
    DataSet.MINT: ("trajectories_qa.jsonl", mint_row(0, right=True)),
    DataSet.AGENTPROCESSBENCH: ("x_trajectories.jsonl", apb_row(0, 0, right=True)),
    DataSet.TAU_BENCH: ("trajectories.jsonl", tau_row(0, 0, right=True)),
    DataSet.PLAN_REWARDBENCH: ("x.jsonl", plan_row(0)),
    DataSet.WHO_AND_WHEN: ("x_full.jsonl", when_row(0)),
}


@pytest.mark.parametrize(("dataset", "bad", "told"), BAD)
def test_a_malformed_row_is_named(tmp_path: Path, dataset: DataSet, bad: Any, told: str) -> None:
    name, good = GOOD[dataset]
    folder = written(tmp_path / name, [good, "", bad])
    with pytest.raises(InvalidInput) as caught:
        load(dataset, folder)
    assert told in str(caught.value)
    assert "twice" in told or str(caught.value).startswith(f"{tmp_path / name}, line 3: ")


def test_a_folder_without_the_files_is_told_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"holds no files of mint: pass a folder with trajectories_\*.jsonl"):
        load(DataSet.MINT, tmp_path)
    with pytest.raises(InvalidInput, match=r"there is no .*nowhere"):
        load(DataSet.MINT, tmp_path / "nowhere")
