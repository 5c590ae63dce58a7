from __future__ import annotations

import json
import os
import sqlite3
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reagent_sdk import InvalidInput
from reagent_sdk.tools.corpus import files as corpus_files
from reagent_sdk.tools.corpus.build import BuildReport, Progress, build_corpus
from reagent_sdk.tools.corpus.jsonl import Fields
from reagent_sdk.tools.corpus.passages import OVERLAP, SIZE, cut
from reagent_sdk.tools.corpus.search import CorpusSearch


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "made" / "c.corpus"


def jsonl(folder: Path, *rows: Any, name: str = "rows.jsonl") -> Path:
    path = folder / name
    lines = (row if isinstance(row, str) else json.dumps(row) for row in rows)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def built(out: Path, *sources: Path, **options: Any) -> tuple[BuildReport, CorpusSearch]:
    report = build_corpus(sources, out, **options)
    assert os.listdir(out.parent) == [out.name]  # nothing but the corpus is left
    return report, CorpusSearch(out)


def test_rows_become_documents(tmp_path: Path, out: Path) -> None:
    path = jsonl(tmp_path, {"id": 7, "title": " The\n Fox ", "text": " A den. ", "url": "https://e.org/f"}, "")
    report, corpus = built(out, path)
    assert (report.documents, report.passages, report.files, report.duplicates) == (1, 1, 1, 0)
    assert report.bytes == out.stat().st_size
    found = corpus.get("7")
    assert (found.title, found.text, found.url) == ("The Fox", "A den.", "https://e.org/f")


@pytest.mark.parametrize(
    ("row", "fields"),
    [
        ({"_id": "1", "title": "T", "text": "words"}, None),
        ({"docid": "1", "name": "T", "body": "words"}, None),
        ({"id": "1", "contents": '"T"\nwords'}, None),
        ({"id": "1", "title": "T", "text": ["wo", "rds"]}, None),
        ({"id": "1", "headline": "T", "story": "words"}, Fields(text="story", title="headline")),
        ({"key": 1, "title": "T", "text": "wrong", "x": "words"}, Fields(text="x", id="key")),
    ],
)
def test_field_names_are_found_or_given(tmp_path: Path, out: Path, row: dict[str, Any], fields: Fields | None) -> None:
    _, corpus = built(out, jsonl(tmp_path, row), fields=fields)
    found = corpus.get("1")
    assert found.title == "T"
    assert found.text.replace(" ", "") == "words"


def test_a_byte_order_mark_and_lone_surrogates_do_not_matter(tmp_path: Path, out: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"id": "a\\ud800", "title": "\\udfff", "text": "fox \\ud800 den"}')
    _, corpus = built(out, path)
    assert corpus.find("den")[0].url == "corpus:a%3F"
    assert corpus.get("a\ud800").title == "?"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{bad", "not JSON"),
        ("[1]", "not an object but list"),
        ('"x"', "not an object but str"),
        ("[" * 100_000, "not JSON that can be read"),
        ("1" * 5_000, "not JSON that can be read"),
        ('{"id": 1}', "lacks a text; name its field with --text-field; its fields are id"),
        ("{}", "its fields are none"),
        ('{"text": {"a": 1}}', "'text' is dict, not text"),
        ('{"text": [1, {}]}', "'text' is list, not text"),
        ('{"text": true}', "'text' is bool, not text"),
    ],
    ids=range(10),
)
def test_a_bad_line_is_named_and_nothing_is_written(tmp_path: Path, out: Path, line: str, problem: str) -> None:
    path = jsonl(tmp_path, {"text": "good"}, "", line)
    with pytest.raises(InvalidInput) as error:
        build_corpus([path], out)
    assert str(error.value).startswith(f"{path}:3: ")
    assert problem in str(error.value)
    assert os.listdir(out.parent) == []


def test_nul_characters_do_not_end_a_text(tmp_path: Path, out: Path) -> None:
    _, corpus = built(
        out, jsonl(tmp_path, {"id": "a\0b", "title": "T\0U", "text": "fox\0den " + "word " * 400 + "owl"})
    )
    (hit,) = corpus.find("owl")
    assert hit.title == "T U"
    assert hit.snippet.endswith("owl")
    assert corpus.get("a b").text.startswith("fox den")


def test_a_line_that_is_not_utf_8_is_named(tmp_path: Path, out: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "ok"}\n{"text": "\xff"}\n')
    with pytest.raises(InvalidInput, match=r"a\.jsonl:2: not UTF-8"):
        build_corpus([path], out)


def test_an_endless_line_is_refused_without_reading_it_all(tmp_path: Path, out: Path) -> None:
    path = tmp_path / "a.jsonl"
    with path.open("wb") as file:
        file.truncate(10 * 2**30)  # sparse: takes no room
    with pytest.raises(InvalidInput, match="longer than 64 MiB"):
        build_corpus([path], out)


def test_a_named_field_that_is_missing_is_named(tmp_path: Path, out: Path) -> None:
    with pytest.raises(InvalidInput, match="lacks the field 'body'; its fields are text"):
        build_corpus([jsonl(tmp_path, {"text": "x"})], out, fields=Fields(text="body"))


def test_a_failed_build_leaves_the_old_corpus(tmp_path: Path, out: Path) -> None:
    built(out, jsonl(tmp_path, {"id": "old", "text": "old"}))
    before = out.read_bytes()
    with pytest.raises(InvalidInput):
        build_corpus([jsonl(tmp_path, {"text": "new"}, "{")], out)
    assert out.read_bytes() == before
    assert os.listdir(out.parent) == [out.name]


def test_an_interrupted_build_leaves_nothing(tmp_path: Path, out: Path) -> None:
    def interrupt(_: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_corpus([jsonl(tmp_path, {"text": "x"})], out, progress=interrupt)
    assert os.listdir(out.parent) == []


def test_a_rebuild_replaces_the_file_and_open_readers_go_on(tmp_path: Path, out: Path) -> None:
    _, old = built(out, jsonl(tmp_path, {"id": "1", "text": "fox"}))
    out.chmod(0o600)
    _, new = built(out, jsonl(tmp_path, {"id": "2", "text": "hen"}))
    assert [hit.url for hit in old.find("fox")] == ["corpus:1"]
    assert [hit.url for hit in new.find("fox hen")] == ["corpus:2"]
    assert out.stat().st_mode & 0o777 == 0o600


def test_leftovers_of_killed_builds_go_after_a_day(tmp_path: Path, out: Path) -> None:
    out.parent.mkdir()
    stale, live = (out.with_name(f".{out.name}.{word}.part") for word in ("stale", "live"))
    stale.touch()
    live.touch()
    os.utime(stale, (0, 0))
    build_corpus([jsonl(tmp_path, {"text": "x"})], out)
    assert sorted(os.listdir(out.parent)) == sorted([live.name, out.name])


def test_duplicates_are_dropped_and_their_ids_lead_to_the_first(tmp_path: Path, out: Path) -> None:
    rows = [{"id": "a", "text": "one  fox"}, {"id": "b", "text": "one fox\n"}, {"id": "c", "text": ""}, {"text": None}]
    report, corpus = built(out, jsonl(tmp_path, *rows))
    assert (report.documents, report.duplicates, report.empty) == (1, 1, 2)
    assert corpus.get("b") == corpus.get("a")


def test_ids_that_are_taken_get_a_suffix(tmp_path: Path, out: Path) -> None:
    rows = [{"id": "a", "text": "one"}, {"id": "a~3", "text": "two"}, {"id": "a", "text": "three"}, {"text": "four"}]
    report, corpus = built(out, jsonl(tmp_path, *rows))
    assert (report.documents, report.renamed) == (4, 1)
    assert corpus.get("a~3~3").text == "three"
    assert corpus.get("rows-4").text == "four"


def test_a_folder_of_text_markdown_and_html(tmp_path: Path, out: Path) -> None:
    source = tmp_path / "pages"
    (source / "deep").mkdir(parents=True)
    (source / ".git").mkdir()
    (source / "plain_notes.txt").write_text("Foxes dig.", encoding="utf-8")
    (source / "deep" / "b.md").write_text("# Hens #\n\nHens lay.", encoding="utf-8")
    page = "<html><head><title>Owls</title><script>evil()</script></head><body><p>Owls hoot at night.</p></body></html>"
    (source / "c.html").write_text(page, encoding="utf-8")
    (source / "old.txt").write_bytes("caf\xe9 cr\xe8me".encode("cp1252"))
    (source / "wide.txt").write_text("wide words", encoding="utf-16")
    (source / "skip.bin").write_bytes(b"\0")
    (source / ".git" / "x.txt").write_text("hidden", encoding="utf-8")
    (source / "link.txt").symlink_to("/etc/hostname")
    report, corpus = built(out, source)
    assert (report.files, report.documents) == (5, 5)
    titles = {name: corpus.get(name).title for name in ("plain_notes.txt", "deep/b.md", "c.html")}
    assert titles == {"plain_notes.txt": "plain notes", "deep/b.md": "Hens", "c.html": "Owls"}
    assert corpus.get("c.html").text == "Owls hoot at night."
    assert corpus.get("old.txt").text == "café crème"
    assert corpus.get("wide.txt").text == "wide words"
    assert corpus.find("lay")[0].url == "corpus:deep/b.md"
    assert corpus.find("evil") == []


def test_a_long_text_file_becomes_several_documents(tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus_files, "_PART", 1_000)
    text = "\n\n".join(f"Paragraph {n}. " + "word " * 20 for n in range(40))
    (tmp_path / "long.txt").write_text(text, encoding="utf-8")
    report, corpus = built(out, tmp_path / "long.txt")
    assert report.documents > 3
    assert corpus.get("long.txt").text.startswith("Paragraph 0.")
    parts = [corpus.get("long.txt" + (f"#{n}" if n > 1 else "")).text for n in range(1, report.documents + 1)]
    assert "".join(" ".join(parts).split()) == "".join(text.split())
    assert all(part.startswith("Paragraph") for part in parts)


def test_several_sources_at_once_and_progress(tmp_path: Path, out: Path) -> None:
    (tmp_path / "a.txt").write_text("alpha", encoding="utf-8")
    told: list[Progress] = []
    rows = jsonl(tmp_path, *({"id": n, "text": f"{n} " * 30_000} for n in range(40)))
    report, _ = built(out, rows, tmp_path / "a.txt", progress=told.append)
    assert report.documents == 41
    assert len(told) > 2
    assert told[-1] == Progress(told[-1].total_bytes, rows.stat().st_size + 5, 41)
    assert [one.bytes for one in told] == sorted(one.bytes for one in told)


@pytest.mark.parametrize(
    ("name", "problem"), [("absent.jsonl", "there is no file"), ("a.pdf", "none of"), ("empty", "holds no")]
)
def test_sources_that_cannot_be_read(tmp_path: Path, out: Path, name: str, problem: str) -> None:
    (tmp_path / "a.pdf").touch()
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInput, match=problem):
        build_corpus([tmp_path / name], out)
    assert not out.parent.exists()


def test_targets_that_make_no_sense(tmp_path: Path) -> None:
    path = jsonl(tmp_path, {"text": "x"})
    with pytest.raises(InvalidInput, match="is a folder"):
        build_corpus([path], tmp_path)
    with pytest.raises(InvalidInput, match="one of the sources"):
        build_corpus([path], path)
    with pytest.raises(InvalidInput, match="hold no text"):
        build_corpus([jsonl(tmp_path, {"text": " "})], tmp_path / "c")
    assert path.exists()


def test_a_full_disk_is_an_os_error(tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from reagent_sdk.tools.corpus import build as corpus_build

    create = corpus_build.create

    def small(path: Path) -> sqlite3.Connection:
        database = create(path)
        database.execute("PRAGMA max_page_count = 40")
        return database

    monkeypatch.setattr(corpus_build, "create", small)
    rows = jsonl(tmp_path, *({"text": f"{n} " * 10_000} for n in range(50)))
    with pytest.raises(OSError, match="cannot be written: database or disk is full"):
        build_corpus([rows], out)
    assert os.listdir(out.parent) == []


@given(st.text(st.sampled_from("ab. \n!。"), max_size=400), st.integers(8, 60))
def test_passages_cover_the_text_in_order_within_their_size(text: str, size: int) -> None:
    overlap = size // 4
    spans = list(cut(text, size, overlap))
    assert (spans[0][0], spans[-1][1]) == (0, len(text)) if text else spans == []
    for (start, stop), (following, end) in pairwise(spans):
        assert start < following <= stop < end
        assert stop - following <= overlap
    assert all(0 < stop - start <= size for start, stop in spans)


def test_passages_are_cut_at_paragraphs_and_overlap_by_sentences() -> None:
    sentence = "The fox digs a den under the old oak tree in the wood. "
    paragraphs = "\n\n".join(sentence * 12 for _ in range(9))
    spans = list(cut(paragraphs))
    assert len(spans) > 3
    assert all(paragraphs[stop - 2 : stop] == "\n\n" for _, stop in spans[:-1])
    overlaps = [stop - start for (_, stop), (start, _) in pairwise(spans)]
    assert all(0 < overlap <= OVERLAP for overlap in overlaps)
    assert all(paragraphs[start:].startswith("The fox") for start, _ in spans)
    assert all(stop - start <= SIZE for start, stop in spans)
