"""The sets that agents are measured on: each layout is read, no answer leaks, and what is wrong is named by its row."""

from __future__ import annotations

import asyncio
import base64
import json
import random
import shutil
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reagent_benchmarks.judging.rows import Row
from reagent_benchmarks.suite.base import BenchmarkItem
from reagent_benchmarks.suite.ciphers import unscrambled, unscrambled_by_digest
from reagent_benchmarks.suite.files import corpus_of, rows_of
from reagent_benchmarks.suite.items import gold, question_key
from reagent_benchmarks.suite.load import drawn, load
from reagent_benchmarks.suite.registry import BENCHMARKS, PAPER, benchmark, listing

from reagent_sdk.cli.toolset import NAMES
from reagent_sdk.errors import InvalidInput
from reagent_sdk.tools import CorpusSearch, FileReader, SearchTool
from reagent_sdk.tools.corpus.build import build_corpus

from .judge_rows import written
from .suite_rows import CANARY, HIDDEN, LAYOUTS, Rows, file_of, gaia, hle, musique, scrambled, small

REAL = [
    ("gsm8k", "gsm8k", 857),
    ("math500", "arpo_eval", 329),
    ("hotpotqa", "arpo_eval", 136),
    ("2wiki", "arpo_eval", 136),
    ("musique", "arpo_eval", 136),
    ("simpleqa", "arpo_eval", 329),
    ("bfcl", "bfcl", 840),
    ("tau-bench", "tau_bench", 32),
    ("tau-bench", "tau2_bench", 50),
    ("agentprocessbench-hotpotqa", "agentprocessbench", 33),
]


def shown(items: list[BenchmarkItem]) -> str:
    """All that an agent, a judge or a reader of a table may see."""
    return "\n".join(item.task.model_dump_json() + json.dumps(item.metadata, ensure_ascii=False) for item in items)


def swapped(value: Any) -> Any:
    """A copy in which every text and number is another one; keys stay."""
    if isinstance(value, dict):
        return {key: swapped(part) for key, part in value.items()}
    if isinstance(value, list):
        return [swapped(part) for part in value] or ["LEAK"]
    return "LEAK #### 77" if "####" in str(value) else "LEAK"


ANSWERS = ("answer", "ground_truth", "evaluation_criteria", "reward", "answer_text", "description", "annotations")


def test_there_is_every_benchmark_of_the_paper_and_a_layout_for_each() -> None:
    assert len(PAPER) == 13
    assert {name for name, _, _ in LAYOUTS.values()} == set(BENCHMARKS)
    for line in listing():
        one = benchmark(line.name.upper())
        assert line.how.endswith("--data")
        assert set(one.tools) <= set(NAMES)
        assert (one.steps >= 1, bool(one.columns), bool(one.instructions), bool(one.licence)) == (True,) * 4
    with pytest.raises(InvalidInput, match=r"no benchmark 'gsm-8k'; there are gaia-text, .*Did you mean gsm8k\?"):
        benchmark("gsm-8k")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_small_set_of_each_layout_is_read_and_shows_no_answer(tmp_path: Path, layout: str) -> None:
    name = LAYOUTS[layout][0]
    items = load(name, data=small(layout, tmp_path / "one", "741"))
    others = load(name, data=small(layout, tmp_path / "two", "963"))
    assert len(items) == (2 if name.startswith("gaia") else 3)
    assert len({item.id for item in items}) == len({item.task.id for item in items}) == len(items)
    assert all("741" in item.references[0] for item in items)
    assert all("963" in item.references[0] for item in others)
    assert shown(items) == shown(others).replace("/two/", "/one/")
    assert HIDDEN not in shown(items)
    assert [item.task.question for item in items] == [item.task.question.strip() for item in items]


@pytest.mark.parametrize(("name", "folder", "count"), REAL)
def test_real_rows_are_read_and_show_no_answer(
    shared_data: Path, tmp_path: Path, name: str, folder: str, count: int
) -> None:
    left_out: Counter[str] = Counter()
    items = load(name, data=shared_data / folder, left_out=left_out)
    assert (len(items), left_out) == (count, {})
    assert len({item.id for item in items}) == count
    for file in (shared_data / folder).iterdir():
        if "gold_and_judges" in file.name or "corpus" in file.name:
            continue
        blind = [{k: swapped(v) if k in ANSWERS else v for k, v in row.data.items()} for row in rows_of(file)]
        for row in blind:
            if "task" in row:
                row["task"] |= {"actions": ["LEAK"], "outputs": ["LEAK"]}
                row["traj"] = row["traj"][:1]
        file_of(tmp_path / file.name, blind, listed=file.suffix == ".json")
    blinded = load(name, data=tmp_path)
    assert shown(items) == shown(blinded)
    assert [item.references for item in items] != [item.references for item in blinded]
    assert "LEAK" not in shown(blinded)


def test_real_golds_are_what_the_files_say(shared_data: Path) -> None:
    assert [item.references for item in load("gsm8k", data=shared_data)][:2] == [("18",), ("3",)]
    first = load("2wiki", data=shared_data)[0]
    assert (first.references[0], len(first.references)) == ("Washington D.C.", 9)
    yes_no = [item for item in load("hotpotqa", data=shared_data) if item.grader == "yes_no"]
    assert {reference for item in yes_no for reference in item.references} == {"yes", "no"}
    calls = load("bfcl", data=shared_data)
    assert Counter(item.metadata["type"] for item in calls).keys() == {"irrelevance", "multiple", "simple_python"}
    assert {item.references for item in calls if item.metadata["type"] == "irrelevance"} == {("[]",)}
    assert "Functions:\n[{" in calls[0].task.question
    assert "Airline Agent Policy" in load("tau-bench", data=shared_data / "tau_bench")[0].task.history[0].text


def test_the_offline_corpus_holds_what_is_asked(shared_data: Path, tmp_path: Path) -> None:
    one = benchmark("agentprocessbench-hotpotqa")
    source = corpus_of(one, shared_data)
    assert source is not None
    build_corpus([source], tmp_path / "corpus")
    search = SearchTool([CorpusSearch(tmp_path / "corpus")])
    item = load(one, data=shared_data)[0]
    found = asyncio.run(search.call({"query": item.task.question}))
    assert "Marion" in found.text
    assert corpus_of(benchmark("gsm8k"), shared_data) is None
    with pytest.raises(InvalidInput, match=r"holds no hotpotqa_corpus\.jsonl"):
        corpus_of(one, tmp_path)


def test_files_of_gaia_reach_the_file_reader_and_answers_do_not(tmp_path: Path) -> None:
    rows = gaia("741")
    rows[1]["file_name"] = "b-2.csv"
    folder = file_of(tmp_path / "set" / "2023" / "validation" / "metadata.jsonl", rows)
    (folder / "b-2.csv").write_text("note\nmeet at noon\n", encoding="utf-8")
    plain, item = load("gaia", data=tmp_path / "set")
    assert item.task.attachments == (str(folder / "b-2.csv"),)
    assert item.task.question.endswith("Attached file: b-2.csv")
    assert plain.staged(tmp_path / "work") is None
    root = item.staged(tmp_path / "work")
    assert root is not None
    assert item.staged(tmp_path / "work") == root  # a second time finds it there
    reader = FileReader(root)
    assert "meet at noon" in asyncio.run(reader.call({"path": "b-2.csv"})).text
    listed = asyncio.run(reader.call({"path": "."})).text
    assert "A folder with 1 entries:\nb-2.csv" in listed
    beyond = asyncio.run(reader.call({"path": str(folder / "metadata.jsonl")}))
    assert "741" not in beyond.text
    left_out: Counter[str] = Counter()
    assert [one.id for one in load("gaia-text", data=folder, left_out=left_out)] == ["a-1"]
    assert left_out == {"questions with a file": 1}
    assert len(load("gaia-text", data=folder, everything=True)) == 2


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("gone.pdf", "the file 'gone.pdf' is not next to it"),
        ("../metadata.jsonl", "lies outside the folder"),
        ("/etc/hostname", "lies outside the folder"),
        ("link.txt", "'link.txt' is a link out of the folder"),
        ("folder", "'folder' is not a file"),
    ],
)
def test_files_of_gaia_that_cannot_be_used_are_named(tmp_path: Path, name: str, told: str) -> None:
    rows = gaia("7")
    rows[1]["file_name"] = name
    folder = file_of(tmp_path / "set" / "metadata.jsonl", rows)
    (folder / "folder").mkdir()
    (tmp_path / "blob").write_text("x", encoding="utf-8")
    (folder / "link.txt").symlink_to(tmp_path / "blob")
    with pytest.raises(InvalidInput) as caught:
        load("gaia", data=folder)
    assert str(caught.value).startswith(f"{folder / 'metadata.jsonl'}, line 2: ")
    assert told in str(caught.value)


def test_questions_with_an_image_are_marked_and_counted(tmp_path: Path) -> None:
    rows = hle("B")
    rows[0] |= {"image": "data:image/png;base64,AAAA"}
    rows[1] |= {"answer_type": "multipleChoice"}
    folder = file_of(tmp_path / "hle.jsonl", rows)
    left_out: Counter[str] = Counter()
    items = load("hle", data=folder, left_out=left_out)
    assert ({item.id: item.grader for item in items}, left_out) == (
        {"h1": "choice", "h2": None},
        {"questions with an image": 1},
    )
    (shown_image,) = [item for item in load("hle", data=folder, everything=True) if item.metadata.get("image")]
    assert shown_image.task.question == "What is the rank of group 0?"
    assert shown_image.task.last is not None
    assert shown_image.task.last.to_openai()["content"][1]["image_url"] == {"url": "data:image/png;base64,AAAA"}
    many = [hle("7")[0] | {"id": str(n), "question": f"What is {n}?"} for n in range(510)]
    assert len(load("hle", data=file_of(tmp_path / "many" / "hle.jsonl", many))) == 500


def test_unanswerable_questions_of_musique_are_left_out(tmp_path: Path) -> None:
    rows = musique("7")
    rows.append(rows[0] | {"answerable": False})
    left_out: Counter[str] = Counter()
    items = load("musique", data=file_of(tmp_path / "musique_full_v1.0_dev.jsonl", rows), left_out=left_out)
    assert (len(items), left_out) == (3, {"questions without an answer": 1})
    assert items[0].references == ("7", "7 (alias)")


def test_files_of_generated_tasks_are_found(tmp_path: Path) -> None:
    rows = [dict(row) for row in LAYOUTS["synth"][2]("12")]
    rule = {"kind": "number", "tolerance": 0.005, "aliases": []}
    rows[0] |= {"folder": "files/t0", "files": ["sales.csv"], "rule": rule, "tools": ["file_reader", "python"]}
    rows[1] |= {"corpus": "corpora/pages.corpus", "rule": {"kind": "text", "aliases": ["dozen"]}}
    folder = file_of(tmp_path / "tasks.jsonl", rows)
    with pytest.raises(InvalidInput, match=r"line 1: .*sales\.csv is missing; generate the set again"):
        load("synth", data=folder)
    for path in (folder / "files" / "t0" / "sales.csv", folder / "corpora" / "pages.corpus"):
        path.parent.mkdir(parents=True)
        path.write_text("x\n1\n", encoding="utf-8")
    table, lookup, plain = load("synth", data=folder)
    assert (table.grader, table.task.attachments) == ("numeric", (str(folder / "files" / "t0" / "sales.csv"),))
    assert table.metadata["tolerance"] == 0.005
    assert (lookup.references, lookup.metadata["corpus"]) == (("12", "dozen"), str(folder / "corpora" / "pages.corpus"))
    assert (plain.grader, plain.metadata["tools"]) == (None, ["python"])
    rows[0]["files"] = ["../../tasks.jsonl"]
    rows[1]["corpus"] = "../outside"
    with pytest.raises(InvalidInput, match="lies outside the folder of the set"):
        load("synth", data=file_of(tmp_path / "tasks.jsonl", rows[1:]))


def test_a_sample_depends_on_questions_and_seed_alone(tmp_path: Path) -> None:
    rows = [{"question": f"Question {n}?", "answer": [f"gold {n}"]} for n in range(40)]
    folder = file_of(tmp_path / "a" / "hotpotqa.jsonl", rows)
    few, more = load("hotpotqa", data=folder, limit=5, seed=3), load("hotpotqa", data=folder, limit=12, seed=3)
    assert [item.id for item in few] == [item.id for item in more][:5]
    random.Random(1).shuffle(rows)
    blind = file_of(tmp_path / "b" / "hotpotqa.jsonl", [row | {"answer": "another"} for row in rows])
    assert [item.id for item in load("hotpotqa", data=blind, limit=12, seed=3)] == [item.id for item in more]
    assert [item.id for item in load("hotpotqa", data=folder, limit=12, seed=4)] != [item.id for item in more]
    assert len(load("hotpotqa", data=folder, limit=1000)) == 40
    assert [item.references[0] for item in load("hotpotqa", data=folder)] == [f"gold {n}" for n in range(40)]
    with pytest.raises(InvalidInput, match="a limit of 0 leaves nothing"):
        load("hotpotqa", data=folder, limit=0)


def test_items_of_one_question_are_drawn_together(tmp_path: Path) -> None:
    rows = [{"id": f"{n}{twin}", "question": f"Question {n}?", "answer": "x"} for twin in "ab" for n in range(9)]
    items = load("hotpotqa", data=file_of(tmp_path / "hotpotqa.jsonl", rows))
    for seed in range(4):
        assert set(Counter(item.group for item in drawn(items, 8, seed)).values()) == {2}


def test_repeated_questions(tmp_path: Path) -> None:
    row = {"question": "Who was it?", "answer": "Ada"}
    left_out: Counter[str] = Counter()
    twice = written(tmp_path / "hotpotqa.jsonl", [row, row | {"question": " Who  was it? "}])
    assert len(load("hotpotqa", data=twice, left_out=left_out, everything=True)) == 1
    assert left_out == {"repeated questions": 1}
    with pytest.raises(InvalidInput, match=r"line 2: the question is in hotpotqa\.jsonl, line 1 already"):
        load("hotpotqa", data=written(tmp_path / "hotpotqa.jsonl", [row, row | {"answer": "Eve"}]))
    numbered = [row | {"id": "q1"}, row | {"id": "q1"}]
    with pytest.raises(InvalidInput, match=r"line 2: the id 'q1' is in hotpotqa\.jsonl, line 1 already"):
        load("hotpotqa", data=written(tmp_path / "hotpotqa.jsonl", numbered))


GOOD = {"question": "Who?", "answer": "Ada"}
BAD: list[tuple[str, str, Any, str]] = [
    ("hotpotqa", "hotpotqa.jsonl", "{", "not JSON"),
    ("hotpotqa", "hotpotqa.jsonl", "[1]", "a JSON object is needed"),
    ("hotpotqa", "hotpotqa.jsonl", {"problem": "x", "answer": "y"}, 'no column "question" or "Question"; there are'),
    ("hotpotqa", "hotpotqa.jsonl", {"question": "x"}, 'no column "golden_answers" or "answer" or "Answer"'),
    ("hotpotqa", "hotpotqa.jsonl", GOOD | {"answer": ""}, '"answer" holds no gold answer'),
    ("hotpotqa", "hotpotqa.jsonl", GOOD | {"answer": [None, " "]}, '"answer" holds no gold answer'),
    ("hotpotqa", "hotpotqa.jsonl", GOOD | {"answer": True}, '"answer" holds no gold answer'),
    ("hotpotqa", "hotpotqa.jsonl", GOOD | {"question": " "}, '"question" is empty'),
    ("aime25", "aime25.jsonl", GOOD | {"answer": "1000"}, "a whole number from 0 to 999"),
    ("gsm8k", "gsm8k.jsonl", GOOD | {"answer": "First.\nThen."}, 'has no "####"'),
    ("gsm8k", "gsm8k.jsonl", GOOD | {"answer": "First. ####"}, 'nothing stands behind the "####"'),
    ("math500", "math500.jsonl", GOOD | {"answer": "x #### 4"}, "is this the file of MATH500?"),
    ("xbench-deepsearch", "xbench.jsonl", {"id": 1, "prompt": "%", "answer": "%", "canary": "k"}, "does not decode"),
    ("tau-bench", "tasks.json", {"id": 1, "user_scenario": {}, "evaluation_criteria": {"actions": 1}}, "be a list"),
    ("bfcl", "BFCL_v4_multiple.json", {"id": "m", "question": [[]], "function": []}, "reference calls are missing"),
    ("gaia", "metadata.jsonl", gaia("?")[0], "the test split has no public answers"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "file", "bad", "told"), BAD)
def test_a_malformed_row_is_named(tmp_path: Path, name: str, file: str, bad: Any, told: str) -> None:
    written(tmp_path / file, ["", bad])
    with pytest.raises(InvalidInput) as caught:
        load(name, data=tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / file}, line 2: ")
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_are_no_sets_are_named(tmp_path: Path) -> None:
    for name, text, told in [
        ("set.txt", "x", "a set is a .jsonl, .json, .csv, .parquet file"),
        ("empty.jsonl", "\n", "holds no rows"),
        ("broken.json", "[{", "is not JSON"),
        ("numbers.json", "[1]", "row 1: a JSON object is needed"),
        ("wide.csv", "question,answer\nWho?,Ada,x\n", "row 1: it has more cells"),
        ("cut.csv", 'question,answer\nWho?,"Ada\n', "row 1"),
        ("damaged.parquet", "PAR1", "damaged or cut off"),
    ]:
        (tmp_path / name).write_text(text, encoding="utf-8")
        if name == "cut.csv":
            assert load("hotpotqa", data=tmp_path / name)[0].references == ("Ada",)
            continue
        with pytest.raises(InvalidInput) as caught:
            load("hotpotqa", data=tmp_path / name)
        assert told in str(caught.value)
        assert str(tmp_path / name) in str(caught.value)
    (tmp_path / "latin.csv").write_bytes("question,answer\nWer?,J\xe9r\xf4me\n".encode("latin-1"))
    with pytest.raises(InvalidInput, match="not a csv file in UTF-8"):
        load("hotpotqa", data=tmp_path / "latin.csv")
    with pytest.raises(InvalidInput, match=r"holds no file of GSM8K; pass --data with one of gsm8k\.\*"):
        load("gsm8k", data=tmp_path)
    with pytest.raises(InvalidInput, match=r"there is no .*nowhere"):
        load("gsm8k", data=tmp_path / "nowhere")


def test_reference_calls_may_lie_in_either_place(tmp_path: Path) -> None:
    rows = LAYOUTS["bfcl"][2]("4")
    golds = [{"id": row["id"], "ground_truth": row.pop("ground_truth")} for row in rows]
    written(tmp_path / "BFCL_v4_simple_python.json", rows)
    written(tmp_path / "BFCL_v4_multi_turn_base.json", [{"id": "other", "question": [[], []]}])
    written(tmp_path / "possible_answer" / "BFCL_v4_simple_python.json", golds)
    assert [item.references for item in load("bfcl", data=tmp_path)] == [('[{"area": {"side": ["4"]}}]',)] * 3
    shutil.rmtree(tmp_path / "possible_answer")
    written(tmp_path / "BFCL_v4_simple_python.possible_answer.json", golds[:2])
    with pytest.raises(InvalidInput, match=r"line 3: .* has no answer for the id 'simple_2'"):
        load("bfcl", data=tmp_path)


def test_the_hub_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import datasets.config
    import huggingface_hub.constants

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("REAGENT_HOME", str(tmp_path))
    with pytest.raises(InvalidInput) as open_set:
        load("gsm8k")
    assert "GSM8K was not loaded: Couldn't reach 'openai/gsm8k' on the Hub" in str(open_set.value)
    assert "pass --data with its folder or file (gsm8k.*, test.jsonl, " in str(open_set.value)
    assert "MIT, https://huggingface.co/datasets/openai/gsm8k" in str(open_set.value)
    for name in ("hle", "gaia"):
        with pytest.raises(InvalidInput) as gated:
            load(name)
        assert "it is gated: accept the conditions on its page and log in with `hf auth login`" in str(gated.value)
        assert benchmark(name).home in str(gated.value)
        assert "\n" not in str(gated.value)
    with pytest.raises(InvalidInput, match="no copy on the hub"):
        load("tau-bench")


def test_rows_of_the_hub_are_read_without_decoding_images(tmp_path: Path) -> None:
    """A folder stands in for the hub: `datasets` loads both in the same way."""
    import datasets

    rows = hle("7")
    features = datasets.Features(dict.fromkeys(rows[0], datasets.Value("string")) | {"preview": datasets.Image()})
    picture = {"bytes": b"no picture", "path": None}
    made = datasets.Dataset.from_list([row | {"preview": picture} for row in rows], features=features)
    (tmp_path / "hub").mkdir()
    made.to_parquet(str(tmp_path / "hub" / "test-0.parquet"))
    here = replace(benchmark("hle"), hub_id=str(tmp_path / "hub"))
    assert {item.id for item in load(here)} == {"h0", "h1", "h2"}
    made.remove_columns("answer").to_parquet(str(tmp_path / "hub" / "test-0.parquet"))
    with pytest.raises(InvalidInput, match=r'hub, row 1: there is no column "answer"'):
        load(here)


def test_files_of_the_hub_are_copied_and_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rows = gaia("7")
    rows[1]["file_name"] = "b-2.txt"
    hub = tmp_path / "hub"
    file_of(hub / "2023" / "validation" / "metadata.jsonl", rows)
    (hub / "2023" / "validation" / "b-2.txt").write_text("note", encoding="utf-8")

    def copied(repo: str, *, repo_type: str, local_dir: Path) -> str:
        assert (repo, repo_type) == ("gaia-benchmark/GAIA", "dataset")
        return str(shutil.copytree(hub, local_dir))

    monkeypatch.setattr("huggingface_hub.snapshot_download", copied)
    monkeypatch.setenv("REAGENT_HOME", str(tmp_path / "home"))
    item = load("gaia")[1]
    assert item.task.attachments == (str(tmp_path / "home/benchmarks/gaia-benchmark--GAIA/2023/validation/b-2.txt"),)


@given(st.text(max_size=80), st.text(min_size=1, max_size=40))
def test_scrambled_cells_come_back(text: str, key: str) -> None:
    text, key = text.encode("utf-8", "replace").decode(), key.encode("utf-8", "replace").decode()
    assert unscrambled(scrambled(text, key.encode()), key) == text


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=80), st.binary(max_size=30))
def test_cells_that_decode_to_no_text_are_told(canary: str, data: bytes) -> None:
    for decode in (unscrambled, unscrambled_by_digest):
        with suppress(InvalidInput):
            assert isinstance(decode(base64.b64encode(data).decode(), canary or CANARY), str)
    with pytest.raises(InvalidInput, match="does not decode"):
        unscrambled("not base64!", CANARY)


VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10)


@given(VALUES | st.lists(VALUES, max_size=4) | st.dictionaries(st.text(max_size=3), VALUES, max_size=2))
def test_gold_answers_are_texts_or_refused(value: Any) -> None:
    row = Row({"answer": value}, Path("set.jsonl"), 1)
    with suppress(InvalidInput):
        found = gold(row, "answer")
        assert found
        assert all(answer.strip() == answer != "" for answer in found)
        assert len(set(found)) == len(found)


@pytest.mark.parametrize(("value", "told"), [(0, ("0",)), (0.0, ("0",)), ("0", ("0",)), ([0, 2.5], ("0", "2.5"))])
def test_zero_is_an_answer(tmp_path: Path, value: Any, told: tuple[str, ...]) -> None:
    folder = file_of(tmp_path / "hotpotqa.jsonl", [{"question": "How many?", "answer": value}])
    assert load("hotpotqa", data=folder)[0].references == told


def test_a_question_has_one_key_wherever_it_stands() -> None:
    assert question_key("Who  is\nit? ") == question_key("Who is it?") != question_key("Who was it?")


def test_columns_of_other_layouts_and_plain_copies_are_read(tmp_path: Path) -> None:
    plain: Rows = [{"id": 1, "question": "多长？", "answer": "十"}]
    assert load("xbench-deepsearch", data=file_of(tmp_path / "xbench.jsonl", plain))[0].references == ("十",)
    page = {"Question": "When?", "Answer": "Now", "Root_Url": "https://a.org", "Info": {"Hop": "multi-source"}}
    (item,) = load("webwalkerqa", data=file_of(tmp_path / "WebWalkerQA.json", [page], listed=True))
    assert item.metadata == {"root_url": "https://a.org", "type": "multi-source"}
    (simple,) = load("simpleqa", data=small("simpleqa", tmp_path / "simple"))[:1]
    assert simple.metadata == {"topic": "Art", "type": "Person"}
    (picked,) = load("gaia-text", data=file_of(tmp_path / "dev.json", [gaia("1,204")[0]]))
    assert (picked.grader, picked.metadata) == ("numeric", {"level": "1", "file": False})


def test_the_page_lists_every_set_with_its_grader() -> None:
    page = (Path(__file__).parents[2] / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    lines = [line.split(" | ") for line in page.partition("## The sets")[2].splitlines() if line.startswith("| `")]
    listed = {name.strip("|` "): cells for cells in lines for name in cells[0].split(", ")}
    assert set(listed) == set(BENCHMARKS)
    for line in listing():
        assert listed[line.name][3].split(", ")[0] == line.grader
        assert ("gated" in listed[line.name][5]) == line.gated or line.name == "gaia"
