from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reagent_benchmarks import published
from reagent_benchmarks.published import measured, size_of
from reagent_benchmarks.published_rows import Judged, Labels, read_judged
from sklearn.metrics import balanced_accuracy_score, cohen_kappa_score

from reagent_sdk.errors import InvalidInput

labels = st.sampled_from((1, 0, -1))


def row(number: int, gold: tuple[list[int], int], **said: tuple[list[int | None], int]) -> dict[str, Any]:
    judges = {name: {"s": steps, "f": final} for name, (steps, final) in said.items()}
    return {"record_id": f"bfcl:{number}:0", "gold_steps": gold[0], "gold_final": gold[1], "judges": judges}


def written(folder: Path, rows: list[dict[str, Any]]) -> Path:
    (folder / "bfcl_gold_and_judges.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows))
    return folder


def test_sizes_and_thinking_come_from_names() -> None:
    assert [size_of(name) for name in ("Qwen3-30B-A3B-Thinking", "Llama-3.2-3B-Instruct", "Q-1.5B", "GPT-5.2")] == [
        30.0,
        3.0,
        1.5,
        None,
    ]


@settings(max_examples=3)  # a bootstrap each
@given(st.lists(st.tuples(labels, labels), min_size=3, max_size=30))
def test_outcomes_are_measured_as_scikit_learn_does(finals: list[tuple[int, int]]) -> None:
    rows = [
        Judged(str(place), Labels((1,), gold), {"J-7B": Labels((1,), said)})
        for place, (gold, said) in enumerate(finals)
    ]
    found = measured(rows, seed=0)[-1].figures
    gold, said = [one == 1 for one, _ in finals], [one == 1 for _, one in finals]
    if 0 < sum(gold) < len(gold):
        assert found["auroc"].value == pytest.approx(balanced_accuracy_score(gold, said))
        assert found["kappa"].value == pytest.approx(cohen_kappa_score(gold, said))
    assert found["final_accuracy"].value == pytest.approx(sum(a == b for a, b in finals) / len(finals))


def test_steps_without_a_label_are_wrong_and_a_judge_without_any_has_failed(tmp_path: Path) -> None:
    rows = [
        row(1, ([1, -1, 1], -1), good=([1, -1, -1], -1), bad=([None, None, None], 0)),
        row(2, ([1, 1], 1), good=([1, 0], 1), bad=([1, None], 1)),
    ]
    _, _, bad, good = measured(read_judged(written(tmp_path, rows)), seed=0)
    assert (bad.judge, bad.failed, good.judge, good.failed) == ("bad", 1, "good", 0)
    assert good.figures["step_accuracy"].value == pytest.approx(3 / 5)
    assert good.figures["first_error"].value == 1.0
    assert bad.figures["step_accuracy"].value == pytest.approx(1 / 5)
    assert bad.figures["first_error"].value == 0.5


def test_a_judge_that_failed_has_not_found_that_there_is_no_error(tmp_path: Path) -> None:
    rows = [row(n, ([1, 1], 1), lost=([None, None], 0), read=([1, 1], 1)) for n in range(2)]
    _, _, lost, read = measured(read_judged(written(tmp_path, rows)), seed=0)
    assert (lost.figures["first_error"].value, read.figures["first_error"].value) == (0.0, 1.0)


def test_judges_stand_by_size_after_the_constants(tmp_path: Path) -> None:
    said: dict[str, tuple[list[int | None], int]] = {
        name: ([1], 1) for name in ("Unknown", "B-70B", "A-4B-Thinking", "C-4B")
    }
    found = measured(read_judged(written(tmp_path, [row(1, ([1], 1), **said), row(2, ([1], -1), **said)])), seed=0)
    assert [one.judge for one in found] == ["always right", "always wrong", "C-4B", "A-4B-Thinking", "B-70B", "Unknown"]
    assert [one.thinks for one in found[2:]] == [False, True, False, False]
    assert [one.figures["auroc"].value for one in found] == [0.5] * 6


@pytest.mark.parametrize(
    ("second", "problem"),
    [
        (row(2, ([1], 1), other=([1], 1)), "line 2: verdicts of 1 judges, other ones"),
        (row(2, ([1], 2), j=([1], 1)), "line 2: labels of steps and of the outcome"),
        (row(2, ([None], 1), j=([1], 1)), "line 2: labels of steps"),  # type: ignore[list-item]
        (row(2, ([1], 1), j=([1, 1], 1)), "line 2: each judge must label 1 steps"),
        (row(2, ([1], 1)) | {"judges": {"j": 3}}, "line 2: the verdict of j must be an object"),
    ],
)
def test_a_malformed_row_is_named(tmp_path: Path, second: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem):
        read_judged(written(tmp_path, [row(1, ([1], 1), j=([1], 1)), second]))


def test_the_command_writes_table_figures_and_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said: dict[str, tuple[list[int | None], int]] = {"[red]$\\frac$\x1b[2J": ([1], 1)}
    data = written(tmp_path, [row(n, ([1], n % 2 or -1), judge=([1], n % 2 or -1), **said) for n in range(6)])
    out, plot = tmp_path / "published.json", tmp_path / "published.png"
    monkeypatch.setattr("sys.argv", ["published", "--data", str(data), "--out", str(out), "--plot", str(plot)])
    published.main()
    shown = capsys.readouterr().out
    assert "6 trajectories, 6 questions, 3 right" in shown
    assert "[red]$" in shown
    assert "\x1b[2J" not in shown
    found = {one["judge"]: one["figures"]["auroc"]["value"] for one in json.loads(out.read_text())["judges"]}
    assert (found["judge"], found["always right"]) == (1.0, 0.5)
    assert plot.read_bytes().startswith(b"\x89PNG")
    monkeypatch.setattr("sys.argv", ["published", "--data", str(tmp_path / "nothing")])
    with pytest.raises(SystemExit, match="2"):
        published.main()
    assert "there is no" in capsys.readouterr().err


def test_what_was_published_is_found_in_the_real_files(shared_data: Path) -> None:
    """The counts were taken from the files with another tool."""
    rows, judges = read_judged(shared_data), ("Qwen3-8B", "Kimi-K2.5-Thinking")
    assert (len(rows), len(rows[0].said)) == (750, 20)
    some = [row._replace(said={name: row.said[name] for name in judges}) for row in rows]
    found = {one.judge: one for one in measured(some, seed=0)}
    assert found["Qwen3-8B"].figures["final_accuracy"].value == pytest.approx((145 + 116 + 137) / 750)
    assert found["Kimi-K2.5-Thinking"].figures["final_accuracy"].value == pytest.approx((180 + 206 + 197) / 750)
