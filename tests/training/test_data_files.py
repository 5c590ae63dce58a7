"""Files of labelled trajectories: what goes in comes out, and what is bad is named and never half written."""

from __future__ import annotations

import gzip
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reagent_training.data.files import read_set, write_set
from reagent_training.data.hub import from_datasets, to_datasets
from reagent_training.data.record import LabelledTrajectory, as_record

from reagent_sdk.errors import InvalidInput

FORMATS = ("set.jsonl", "set.jsonl.gz", "set.jsonl.zst", "set.parquet")


def row(**changes: Any) -> dict[str, Any]:
    return {
        "id": "a",
        "group": "q1",
        "source": "test",
        "label_source": "human",
        "task": {"question": "What is 6 times 7?", "id": "t"},
        "trajectory": {"messages": [{"role": "assistant", "content": "It is 42."}], "answer": "42"},
        "correct": True,
    } | changes


def record(**changes: Any) -> LabelledTrajectory:
    return as_record(row(**changes), "test, row 1")


TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
NAME = TEXT.filter(str.strip)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
CALL = st.fixed_dictionaries(
    {"function": st.fixed_dictionaries({"name": TEXT, "arguments": TEXT | st.dictionaries(TEXT, JSON, max_size=2)})},
    optional={"id": TEXT, "type": st.just("function"), "index": st.integers(0, 9)},
)
PART = st.fixed_dictionaries({"type": st.sampled_from(["text", "image_url"])}, optional={"text": TEXT, "extra": JSON})
MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "user", "assistant", "tool"])},
    optional={
        "content": st.none() | TEXT | st.lists(PART, max_size=2),
        "tool_calls": st.none() | st.lists(CALL, max_size=2),
        "tool_call_id": st.none() | TEXT,
        "name": st.none() | TEXT,
        "reasoning_content": JSON,
    },
)
SAID = st.just({"role": "assistant", "content": "said"})
STEPS = st.lists(st.integers(0, 1), unique=True, max_size=2).map(sorted)


@st.composite
def records(draw: st.DrawFn) -> LabelledTrajectory:
    pair = draw(st.none() | NAME)
    steps = [
        {"message": place, "label": draw(st.sampled_from([-1, 0, 1])), "reason": draw(TEXT)} for place in draw(STEPS)
    ]
    messages = [draw(SAID), draw(MESSAGE), *draw(st.lists(MESSAGE, max_size=2))]
    data = {
        "id": draw(NAME),
        "group": draw(NAME),
        "source": draw(NAME),
        "label_source": draw(st.sampled_from(["human", "synthetic"])),
        "task": {
            "question": draw(NAME),
            "history": draw(st.lists(MESSAGE, max_size=2)),
            "last": draw(st.none() | MESSAGE),
            "attachments": draw(st.lists(TEXT, max_size=2)),
            "metadata": draw(st.dictionaries(TEXT, JSON, max_size=2)),
        },
        "trajectory": {"messages": messages, "answer": draw(TEXT), "stop": draw(st.sampled_from(["completed"]))},
        "correct": draw(st.booleans()),
        "score": draw(st.none() | st.floats(0, 1)),
        "critique": draw(st.none() | NAME),
        "analysis": draw(st.none() | NAME),
        "steps": steps,
        "pair": pair,
        "preferred": None if pair is None else draw(st.booleans()),
        "licence": draw(TEXT),
        "metadata": draw(st.dictionaries(TEXT, JSON, max_size=3)),
    }
    return as_record(data, "drawn")


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=60)
@given(drawn=st.lists(records(), min_size=1, max_size=3, unique_by=lambda one: one.id))
def test_every_record_comes_back_as_it_was(name: str, drawn: list[LabelledTrajectory]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        assert write_set(drawn, path) == len(drawn)
        again = list(read_set(path))
    assert again == drawn
    assert [one.model_dump_json() for one in again] == [one.model_dump_json() for one in drawn]


@settings(max_examples=25)
@given(drawn=st.lists(records(), min_size=1, max_size=3, unique_by=lambda one: one.id))
def test_datasets_carry_records_without_loss(drawn: list[LabelledTrajectory]) -> None:
    dataset = to_datasets(drawn)
    assert list(from_datasets(dataset)) == drawn
    assert dataset[0]["messages"][0]["content"] == "said"


def test_load_dataset_reads_our_parquet(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    given = [record(id=str(number), score=number / 10) for number in range(5)]
    write_set(given, tmp_path / "set.parquet")
    loaded = datasets.load_dataset("parquet", data_files=str(tmp_path / "set.parquet"), cache_dir=str(tmp_path / "c"))
    assert list(from_datasets(loaded["train"])) == given
    assert loaded["train"].features["score"].dtype == "float64"


def test_parquet_spans_row_groups(tmp_path: Path) -> None:
    given = [record(id=str(number)) for number in range(700)]
    write_set(iter(given), tmp_path / "set.parquet")
    assert [one.id for one in read_set(tmp_path / "set.parquet")] == [one.id for one in given]


BAD = [
    (row(correct=None), "row 2, record: the label is missing"),
    (row(score=7), "row 2, score: input should be less than or equal to 1, not 7"),
    (row(score="0.5"), "row 2, score: a number from 0 to 1 is needed, not '0.5'"),
    (row(score=True), "row 2, score: a number from 0 to 1 is needed"),
    (row(trajectory={"messages": [], "answer": "x"}), "row 2, trajectory: the trajectory is empty"),
    (row(steps=[{"message": 3, "label": 1}]), "row 2, record: steps name message 3"),
    (row(steps=[{"message": 0, "label": 2}]), "row 2, steps.0.label"),
    (row(pair="p"), "row 2, record: pair and preferred belong together"),
    (row(group=" "), "row 2, group: it must not be empty"),
    (row(prompt_version="rrm-9", id="b"), "row 2, prompt_version: 'rrm-9', but row 1 has 'rrm-1'"),
    (row(), "row 2, id: 'a' is the id of row 1 already"),
    (row(schema_version=2), "row 2, schema_version"),
    (row(mood="good"), "row 2, mood"),
    ([1], "row 2: a JSON object is needed, not list"),
]


@pytest.mark.parametrize(("bad", "said"), BAD, ids=[said for _, said in BAD])
def test_a_bad_row_is_named(tmp_path: Path, bad: Any, said: str) -> None:
    path = tmp_path / "set.jsonl"
    path.write_text("\n".join(json.dumps(one) for one in (row(), bad)) + "\n")
    with pytest.raises(InvalidInput) as caught:
        list(read_set(path))
    assert said in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", FORMATS)
def test_on_an_error_the_old_file_stays(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    write_set([record()], path)
    before = path.read_bytes()
    with pytest.raises(InvalidInput, match="row 2, id"):
        write_set([record(), record()], path)
    with pytest.raises(InvalidInput, match="no rows"):
        write_set([], path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize("name", ["set.jsonl.gz", "set.jsonl.zst", "set.parquet"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.97])
def test_a_file_that_is_cut_off_is_an_error(tmp_path: Path, name: str, share: float) -> None:
    path = tmp_path / name
    write_set((record(id=str(number)) for number in range(600)), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(InvalidInput, match=r"after row \d+.*(damaged|cut off)") as caught:
        list(read_set(path))
    assert "\n" not in str(caught.value)


def test_a_json_line_that_is_cut_off_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "set.jsonl"
    write_set([record(), record(id="b")], path)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(InvalidInput, match="row 2: not JSON"):
        list(read_set(path))


BROKEN: list[dict[str, Any]] = [
    {"licence": "\ud800"},
    {"metadata": {"deep": ["\udc00"]}},
    {"trajectory": {"messages": [{"role": "assistant", "content": "\ud800"}], "answer": "x"}},
]


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("bad", BROKEN)
def test_what_no_file_can_carry_is_refused(tmp_path: Path, name: str, bad: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="row 2"):
        write_set([record(), record(id="b", **bad)], tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_open_fields_hold_json_only() -> None:
    for bad in (float("nan"), b"bytes", {1, 2}):
        message = {"role": "assistant", "content": "x", "extra": bad}
        with pytest.raises(InvalidInput, match=r"test, row 1, task\.open_fields"):
            record(task={"question": "q", "metadata": {"x": bad}})
        with pytest.raises(InvalidInput, match=r"test, row 1, trajectory\.open_fields"):
            record(trajectory={"messages": [message], "answer": "x"})


def test_nan_in_a_json_line_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "set.jsonl"
    path.write_text(json.dumps(row(task={"question": "q", "metadata": {"x": float("nan")}})) + "\n")
    with pytest.raises(InvalidInput, match=r"row 1: not JSON .*NaN"):
        list(read_set(path))


def test_a_foreign_parquet_file_is_an_error(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    pytest.importorskip("pyarrow.parquet").write_table(pyarrow.table({"id": ["a"]}), tmp_path / "set.parquet")
    with pytest.raises(InvalidInput, match=r"row 1: the columns .*question.* are missing"):
        list(read_set(tmp_path / "set.parquet"))


@pytest.mark.parametrize("name", ["set.csv", "set", "set.jsonl.bz2"])
def test_unknown_formats_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput, match=r"must end with \.jsonl"):
        write_set([record()], tmp_path / name)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    for name in FORMATS:
        with pytest.raises(InvalidInput, match="No such file"):
            list(read_set(tmp_path / name))


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    for name in FORMATS:
        write_set([record()], tmp_path / f"one-{name}")
        write_set([record()], tmp_path / f"two-{name}")
        assert (tmp_path / f"one-{name}").read_bytes() == (tmp_path / f"two-{name}").read_bytes()
    assert gzip.decompress((tmp_path / "one-set.jsonl.gz").read_bytes()) == (tmp_path / "one-set.jsonl").read_bytes()
