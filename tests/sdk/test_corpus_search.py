from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from reagent_sdk import InvalidInput
from reagent_sdk.cli import app
from reagent_sdk.tools.corpus.build import build_corpus
from reagent_sdk.tools.corpus.search import CorpusSearch, url_of
from reagent_sdk.tools.corpus.terms import MAX_TERMS, match_expression
from reagent_sdk.tools.search.providers import ProviderDown, SearchProvider

LONG = "Nothing here matters. " * 40 + "The wolverine sleeps. " + "Nothing there matters. " * 60
ROWS = [
    {"id": "1", "title": "Red fox", "text": "A fox lives in a den and hunts mice.", "url": "https://e.org/fox"},
    {"id": "2", "title": "Hen", "text": "The hen fears the fox.\n\nIt lays eggs."},
    {"id": "a b/ü?", "title": "", "text": "Café crème is served."},
    {"id": "4", "title": "Tokyo", "text": "東京都は日本の首都です。"},
    {"id": "5", "title": "Long", "text": LONG},
    {"id": "6", "title": "Quotes", "text": 'He said "NEAR" OR NOT *, don\'t AND (foo:bar) ^x -y + {z}.'},
]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, ROWS)), encoding="utf-8")
    build_corpus([folder / "rows.jsonl"], folder / "c.corpus")
    return folder / "c.corpus"


@pytest.fixture(scope="module")
def corpus(path: Path) -> Iterator[CorpusSearch]:
    corpus = CorpusSearch(path)
    yield corpus
    corpus.close()


@pytest.fixture(scope="module")
def hotpotqa() -> Path:
    folder = Path(__file__).parents[2].parent / "shared" / "data" / "agentprocessbench"
    if not (folder / "hotpotqa_corpus.jsonl").exists():
        pytest.skip("the shared data are not here")
    return folder


def ids(corpus: CorpusSearch, query: str, limit: int = 5) -> list[str]:
    return [hit.url.removeprefix("corpus:") for hit in corpus.find(query, limit)]


def test_it_is_a_provider_and_ranks_by_relevance(corpus: CorpusSearch) -> None:
    assert isinstance(corpus, SearchProvider)
    assert ids(corpus, "Where do foxes live?") == ["1", "2"]
    (hit,) = corpus.find("eggs")
    assert (hit.title, hit.provider) == ("Hen", "corpus")
    assert hit.snippet == "The hen fears the fox. It lays eggs."


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("cafe CREME", "a%20b/%C3%BC%3F"),
        ("cafe\u0301", "a%20b/%C3%BC%3F"),
        ("\uff43\uff41\uff46\uff45", "a%20b/%C3%BC%3F"),
        ("東京", "4"),
        ("首都", "4"),
        ("don't", "6"),
        ("lays-egg", "2"),
        ("the", "2"),
    ],
)
def test_words_are_found_in_every_form(corpus: CorpusSearch, query: str, found: str) -> None:
    assert found in ids(corpus, query)


@pytest.mark.parametrize("query", ["", " ", '"', "***", "\0", "()", "-", "\ud800", "🦊", "unknownword", "東西"])
def test_queries_without_a_match_find_nothing(corpus: CorpusSearch, query: str) -> None:
    assert corpus.find(query) == []


@given(st.text())
@example('"unclosed')
@example("NEAR(a b")
@example("a AND OR NOT b")
@example("title:fox *")
@example("{title text}: fox ^")
@example("\0fox\0")
@example("' OR 1=1 --")
@example("fox " * 10_000)
@example("東" * 5_000)
@example(" ".join(map(str, range(5_000))))
@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_any_text_is_a_query(corpus: CorpusSearch, query: str) -> None:
    hits = corpus.find(query, 20)
    assert len(hits) <= len(ROWS)
    assert (match_expression(query) or "").count(" OR ") < MAX_TERMS


@given(st.lists(st.sampled_from(['"', "*", "(", ")", ":", "^", "{", "-", "+", "AND", "OR", "NOT", "NEAR", "fox", " "])))
def test_the_syntax_of_the_index_has_no_power(corpus: CorpusSearch, parts: list[str]) -> None:
    found = ids(corpus, " ".join(parts))
    assert "1" in found or "fox" not in parts


@given(st.text())
@example("corpus:")
@example("corpus:%ff%00")
def test_any_text_is_an_address_or_is_refused(corpus: CorpusSearch, url: str) -> None:
    for one in (url, f"corpus:{url}"):
        try:
            assert corpus.open(one)
        except InvalidInput as error:
            assert "no document" in str(error)  # noqa: PT017 - either outcome is right


def test_every_hit_can_be_opened(corpus: CorpusSearch) -> None:
    for row in ROWS:
        assert row["text"].strip() in corpus.open(url_of(row["id"]))
        assert corpus.get(row["id"]).text == row["text"].strip()
    assert corpus.open("corpus:1") == "Red fox\nhttps://e.org/fox\n\nA fox lives in a den and hunts mice."
    assert corpus.open("corpus://1") == corpus.open("https://e.org/fox") == corpus.open("corpus:1")
    assert "Café" in corpus.open("corpus:a b/ü?")
    with pytest.raises(InvalidInput, match="no document 'x'"):
        corpus.get("x")
    with pytest.raises(InvalidInput, match="no document"):
        corpus.open("")


def test_a_long_passage_is_cut_around_the_query(path: Path) -> None:
    corpus = CorpusSearch(path, snippet_chars=200)
    (hit,) = corpus.find("nothing of wolverines or a wolverine sleeping")
    assert "wolverine" in hit.snippet
    (hit,) = corpus.find("where WOLVERINE sleeps")
    assert "The wolverine sleeps." in hit.snippet
    assert len(hit.snippet) <= 202
    assert hit.snippet.startswith("…")
    assert hit.snippet.endswith("…")
    corpus.close()


def test_one_document_is_one_hit_however_many_passages_match(tmp_path: Path) -> None:
    rows = [{"id": "big", "text": "\n\n".join(f"fox number {n} " + "den " * 100 for n in range(60))}]
    rows += [{"id": f"small-{n}", "text": f"a fox among {n} other animals of the wood"} for n in range(3)]
    (tmp_path / "r.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    report = build_corpus([tmp_path / "r.jsonl"], tmp_path / "c")
    assert report.passages > 15
    corpus = CorpusSearch(tmp_path / "c")
    assert sorted(ids(corpus, "fox", 4)) == ["big", "small-0", "small-1", "small-2"]
    assert len(ids(corpus, "fox", 2)) == 2
    assert ids(corpus, "fox", 0) == []
    corpus.close()


def test_many_threads_search_at_once(path: Path) -> None:
    corpus = CorpusSearch(path)
    start = threading.Barrier(16)

    def work(_: int) -> list[str]:
        start.wait()
        return [found for _ in range(20) for found in ids(corpus, "fox den")]

    with ThreadPoolExecutor(16) as threads:
        results = list(threads.map(work, range(16)))
    assert all(result == ["1", "2"] * 20 for result in results)
    corpus.close()
    assert ids(corpus, "fox den") == ["1", "2"]  # opens again
    corpus.close()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_a_dropped_corpus_closes_its_files(path: Path) -> None:
    def held() -> int:
        links = (f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd"))
        return sum(os.path.realpath(link) == os.path.realpath(path) for link in links)

    before = held()
    corpus = CorpusSearch(path)
    corpus.find("fox")
    assert held() == before + 1
    del corpus
    assert held() == before


def test_the_file_is_never_written(path: Path, corpus: CorpusSearch) -> None:
    before = path.read_bytes()
    with corpus._pool.borrowed() as database, pytest.raises(sqlite3.OperationalError, match="readonly"):
        database.execute("DELETE FROM documents")
    corpus.find("fox")
    assert path.read_bytes() == before
    assert not [name for name in os.listdir(path.parent) if name.endswith(("-wal", "-shm", "-journal"))]


@pytest.mark.anyio
async def test_searching_leaves_the_loop_free(corpus: CorpusSearch) -> None:
    results: list[Any] = []

    async def one() -> None:
        results.append(await corpus.search("fox", 1))

    async with anyio.create_task_group() as tasks:
        for _ in range(50):
            tasks.start_soon(one)
    assert [len(result) for result in results] == [1] * 50


def test_files_that_are_no_corpus(tmp_path: Path, path: Path) -> None:
    with pytest.raises(InvalidInput, match="reagent corpus build"):
        CorpusSearch(tmp_path / "absent")
    with pytest.raises(InvalidInput, match="no corpus file"):
        CorpusSearch(tmp_path)
    text = tmp_path / "text"
    text.write_text("not a database at all " * 100, encoding="utf-8")
    with pytest.raises(InvalidInput, match="cannot be read as a database"):
        CorpusSearch(text)
    for name, pragma in {"other": "application_id = 7", "later": "user_version = 99"}.items():
        copy = tmp_path / name
        copy.write_bytes(path.read_bytes())
        database = sqlite3.connect(copy)
        database.execute(f"PRAGMA {pragma}")
        database.commit()
        database.close()
    with pytest.raises(InvalidInput, match="another kind of database"):
        CorpusSearch(tmp_path / "other")
    with pytest.raises(InvalidInput, match="its format is 99"):
        CorpusSearch(tmp_path / "later")


def test_a_damaged_file_is_a_provider_that_is_down(tmp_path: Path, path: Path) -> None:
    whole = path.read_bytes()
    damaged = tmp_path / "damaged"
    damaged.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    with pytest.raises(ProviderDown, match="build it again"):
        asyncio.run(CorpusSearch(damaged).search("fox", 1))
    done = reagent("search", str(damaged), "fox")
    assert done.exit_code == 2
    assert len(done.stderr.splitlines()) == 1


def reagent(*words: str) -> Any:
    return CliRunner().invoke(app, ["corpus", *words])


def test_the_command_builds_searches_and_tells(tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"body": "A fox.", "head": "Fox\\u001b[31m", "at": "https://e.org"}\n' * 2, encoding="utf-8")
    out = str(tmp_path / "c.corpus")
    options = ("--text-field", "body", "--title-field", "head", "--url-field", "at")
    done = reagent("build", str(rows), "--out", out, *options)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("1 documents in 1 passages")
    assert "left out: 1 duplicates" in done.stdout
    assert json.loads(reagent("build", str(rows), "--out", out, *options, "--json").stdout)["documents"] == 1
    found = reagent("search", out, "fox")
    assert found.stdout.splitlines()[1:] == ["   corpus:rows-1", "   A fox."]
    assert "\x1b" not in found.stdout
    assert json.loads(reagent("search", out, "fox", "--json").stdout)["url"] == "corpus:rows-1"
    nothing = reagent("search", out, "zebra")
    assert (nothing.exit_code, nothing.stdout) == (0, "")
    assert "nothing was found" in nothing.stderr
    assert "1 documents in 1 passages" in reagent("info", out).stdout
    assert json.loads(reagent("info", out, "--json").stdout)["passages"] == 1


def test_the_command_refuses_a_bad_line_in_one_line(tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"text": "A fox."}\n{"text": \n', encoding="utf-8")
    done = reagent("build", str(rows), "--out", str(tmp_path / "c.corpus"))
    assert done.exit_code == 2
    assert done.stdout == ""
    assert done.stderr.startswith(f"error: {rows}:2: not JSON")
    assert len(done.stderr.splitlines()) == 1
    assert os.listdir(tmp_path) == ["rows.jsonl"]


@pytest.mark.parametrize("words", [("search", "absent", "q"), ("info", "absent"), ("build", "absent", "--out", "x")])
def test_the_command_refuses_what_is_not_there(words: tuple[str, ...]) -> None:
    done = reagent(*words)
    assert done.exit_code == 2
    assert "absent" in done.stderr


def test_the_real_corpus(hotpotqa: Path, tmp_path: Path) -> None:
    report = build_corpus([hotpotqa / "hotpotqa_corpus.jsonl"], tmp_path / "c")
    assert (report.documents, report.duplicates, report.renamed) == (1053, 9, 0)
    corpus = CorpusSearch(tmp_path / "c")
    with (hotpotqa / "hotpotqa_corpus.jsonl").open(encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            assert corpus.get(row["id"]).text.split() == row["text"].split()
    with (hotpotqa / "hotpotqa_trajectories.jsonl").open(encoding="utf-8") as lines:
        questions = {row["question"]: row["ground_truth"]["target"] for row in map(json.loads, lines)}
    seen = 0
    for question, targets in questions.items():
        text = " ".join(f"{hit.title} {hit.snippet}" for hit in corpus.find(question, 5)).lower()
        seen += any(target.lower() in text for target in targets)
    assert seen / len(questions) > 0.6  # the words of the answer are among the first five hits
    corpus.close()
