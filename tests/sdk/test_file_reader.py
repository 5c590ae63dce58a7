from __future__ import annotations

import json
from pathlib import Path

import pytest
from reagent_benchmarks import file_samples

from reagent_sdk.errors import InvalidInput
from reagent_sdk.tools.base import Tool
from reagent_sdk.tools.files.process import FileLimits
from reagent_sdk.tools.files.reader import FileReader, read_document
from reagent_sdk.tools.files.roots import FileProblem
from reagent_sdk.tools.files.text import PAGE_CHARS, decode, pages

pytestmark = pytest.mark.anyio

NOTEBOOK = {
    "nbformat": 4,
    "nbformat_minor": 5,
    "metadata": {},
    "cells": [{"cell_type": "markdown", "id": "a", "metadata": {}, "source": ["# Profit 42"]}],
}
FORMATS: dict[str, tuple[bytes, str]] = {
    "a.pdf": (file_samples.pdf(["The profit was 42.\nSecond line.", "Last page."]), "The profit was 42.\nSecond line."),
    "a.docx": (file_samples.docx("The profit was 42."), "The profit was 42."),
    "a.xlsx": (file_samples.xlsx([["city", "people"], ["Graz", 290000]]), "| Graz | 290000 |"),
    "a.pptx": (file_samples.pptx("Quarter", "The profit was 42."), "# Quarter\nThe profit was 42."),
    "a.epub": (file_samples.epub("Book", "The profit was 42."), "The profit was 42."),
    "a.csv": (b"city,people\nGraz,290000\n", "| Graz | 290000 |"),
    "a.html": (b"<html><script>x()</script><h1>Hi</h1><p>The <b>profit</b> was 42.", "The **profit** was 42."),
    "a.ipynb": (json.dumps(NOTEBOOK).encode(), "# Profit 42"),
    "a.json": (b'{"profit": 42}', '{"profit": 42}'),
    "a.jsonl": (b'{"profit": 42}\n{"profit": 43}\n', '{"profit": 42}\n{"profit": 43}\n'),
    "a.txt": ("Größe: 42 €".encode(), "Größe: 42 €"),
    "code.py": (b"def profit():\n    return 42\n", "def profit():\n    return 42\n"),
    "no_extension": (b"profit 42", "profit 42"),
    "wrong.txt": (file_samples.pdf(["The profit was 42."]), "The profit was 42."),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "files"
    root.mkdir()
    return root


def test_it_is_a_tool(folder: Path) -> None:
    reader = FileReader(folder)
    assert isinstance(reader, Tool)
    assert reader.name == "file_reader"
    assert set(reader.parameters["properties"]) == {"path", "page", "query"}
    assert reader.parameters["required"] == ["path"]
    assert "pdf" in reader.description


@pytest.mark.parametrize("roots", [[], ["/nowhere-at-all"]])
def test_roots_must_be_folders(roots: list[str]) -> None:
    with pytest.raises(InvalidInput, match="root"):
        FileReader(roots)


@pytest.mark.parametrize("name", FORMATS)
async def test_formats(folder: Path, name: str) -> None:
    data, expected = FORMATS[name]
    (folder / name).write_bytes(data)
    result = await FileReader(folder).call({"path": name})
    assert result.error is None, result.text
    head, _, text = result.text.partition("\n")
    assert head == f"[{name}]"
    assert expected in text


@pytest.mark.parametrize(
    ("text", "charset"),
    [
        ("Grüße aus Österreich, schöne Straßen und viele weitere Wörter", "latin-1"),
        ("Привет, как дела? Это обычный русский текст для проверки кодировки.", "cp1251"),
        ("日本語のテキストです。文字コードを確認するための文章。", "shift_jis"),
        ("Grüße €", "utf-16"),
        ("Grüße €", "utf-8-sig"),
    ],
)
def test_charsets(text: str, charset: str) -> None:
    assert decode(text.encode(charset), None) == text


def test_a_declared_charset_is_believed_when_nothing_else_is_known() -> None:
    assert decode("Łódź".encode("iso-8859-2"), "iso-8859-2") == "Łódź"
    assert decode(b"abc\xff\xfe\xfd", "no-such-charset") is not None
    assert decode(b"\x00\x01\x02") is None


def test_pages_end_with_lines_and_lose_nothing() -> None:
    text = "".join(f"line {number}\n" for number in range(5000))
    cut = pages(text)
    assert "".join(cut) == text
    assert all(len(page) <= PAGE_CHARS and page.endswith("\n") for page in cut)
    assert pages("") == [""]
    assert [len(page) for page in pages("x" * 25_000)] == [10_000, 10_000, 5_000]


async def test_paging_and_its_note(folder: Path) -> None:
    (folder / "long.txt").write_text("".join(f"line {number}\n" for number in range(4000)))
    reader = FileReader(folder)
    first = await reader.call({"path": "long.txt"})
    last = await reader.call({"path": "long.txt", "page": 4})
    beyond = await reader.call({"path": "long.txt", "page": 9})
    assert first.text.startswith("[long.txt; page 1 of 4]\nline 0\n")
    assert last.text.endswith("line 3999\n")
    assert beyond.error == "NoSuchPage"
    assert "ends with page 4" in beyond.text
    assert (await reader.call({"path": "long.txt", "page": 0})).error == "InvalidArguments"


async def test_a_changed_file_is_read_again(folder: Path) -> None:
    (folder / "a.txt").write_text("before")
    reader = FileReader(folder)
    await reader.call({"path": "a.txt"})
    (folder / "a.txt").write_text("after that")
    assert (await reader.call({"path": "a.txt"})).text == "[a.txt]\nafter that"


async def test_a_query_finds_passages_with_their_pages(folder: Path) -> None:
    filler = "".join(f"nothing of note in line {number}\n" for number in range(1000))
    (folder / "long.txt").write_text(f"{filler}The heron nested on the tower.\n{filler}")
    reader = FileReader(folder)
    found = await reader.call({"path": "long.txt", "query": 'where do "herons" NEST?'})
    assert "The heron nested on the tower." in found.text
    assert "[page 3 of 6]" in found.text
    assert len(found.text) < PAGE_CHARS + 200
    none = await reader.call({"path": "long.txt", "query": "zebra"})
    assert none.error is None
    assert "Nothing in it matches" in none.text


async def test_folders_and_archives_are_listed(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "b.txt").write_text("b")
    (folder / "a!b.txt").write_text("its name holds a mark")
    inner = file_samples.archive({"deep.txt": "deep down"})
    members = {"docs/a.docx": file_samples.docx("In the archive."), "inner.zip": inner, "docs/": ""}
    (folder / "all.zip").write_bytes(file_samples.archive(members))
    reader = FileReader(folder)

    async def read(path: str) -> str:
        return (await reader.call({"path": path})).text

    assert await read(".") == "[.]\nA folder with 3 entries:\na!b.txt\nall.zip\nsub/"
    assert "b.txt" in await read("sub")
    assert "- docs/a.docx" in await read("all.zip")
    assert await read("all.zip!docs/a.docx") == "[all.zip!docs/a.docx]\nIn the archive."
    assert "- deep.txt" in await read("all.zip!inner.zip")
    assert await read("all.zip!inner.zip!deep.txt") == "[all.zip!inner.zip!deep.txt]\ndeep down"
    assert await read("a!b.txt") == "[a!b.txt]\nits name holds a mark"
    assert (await read("all.zip!missing.txt")).startswith("NotFound: the archive has no member 'missing.txt'; it has")
    assert (await read("all.zip!docs/")).startswith("NotFound")
    assert (await read("sub!x")).startswith("NotFound")


async def test_what_cannot_be_read_says_what_it_is(folder: Path) -> None:
    files = {
        "p.png": (file_samples.png("Hi"), "Unsupported", "image2text"),
        "s.mp3": (file_samples.SPOKEN.read_bytes(), "Unsupported", "audio2text"),
        "s.wav": (file_samples.wav(b"\0\0" * 100), "Unsupported", "audio2text"),
        "old.xls": (b"\xd0\xcf\x11\xe0" + b"\0" * 600, "Unsupported", "xlsx"),
        "data.bin": (bytes(range(256)) * 10, "Unsupported", "binary"),
        "cut.pdf": (file_samples.pdf(["Hello"])[:60], "Damaged", "pdf"),
        "cut.docx": (file_samples.docx("Hello")[:-40], "Damaged", "archive"),
        "scan.pdf": (file_samples.pdf([b"0 0 m 100 100 l S"]), None, "most likely a scan"),
    }
    reader = FileReader(folder)
    for name, (data, error, said) in files.items():
        (folder / name).write_bytes(data)
        result = await reader.call({"path": name})
        assert (result.error, said in result.text) == (error, True), f"{name}: {result.text}"
    assert (await reader.call({"path": "missing.txt"})).error == "NotFound"
    assert (await reader.call({"file": "missing.txt"})).error == "InvalidArguments"


async def test_text_that_only_begins_like_a_picture_is_text(folder: Path) -> None:
    (folder / "cars.txt").write_text("BMW sold 42 cars")
    assert (await FileReader(folder).call({"path": "cars.txt"})).text == "[cars.txt]\nBMW sold 42 cars"


async def test_broken_csv_is_still_text(folder: Path) -> None:
    (folder / "a.csv").write_text(f'city\n"{"x" * 200_000}"\n')
    result = await FileReader(folder).call({"path": "a.csv"})
    assert "it is no valid csv" in result.text
    assert "xxxx" in result.text


async def test_long_pdfs_are_read_as_plain_text(folder: Path) -> None:
    (folder / "long.pdf").write_bytes(file_samples.pdf([f"This is page number {n}." for n in range(1, 201)]))
    result = await FileReader(folder).call({"path": "long.pdf"})
    assert "200 pages, read as plain text" in result.text
    assert "This is page number 200." in result.text


async def test_several_roots(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.txt").write_text(f"in {name}")
    reader = FileReader([tmp_path / "one", tmp_path / "two"])
    assert "in one" in (await reader.call({"path": "a.txt"})).text
    assert "in two" in (await reader.call({"path": str(tmp_path / "two" / "a.txt")})).text


@pytest.mark.parametrize(
    ("data", "media_type", "expected"),
    [
        (file_samples.pdf(["A fetched page."]), "application/pdf", "A fetched page."),
        (file_samples.pdf(["A fetched page."]), "text/html", "A fetched page."),
        ("<p>Łódź</p>".encode("iso-8859-2"), "text/html; charset=iso-8859-2", "Łódź"),
        ('<meta charset="iso-8859-2"><p>Łódź</p>'.encode("iso-8859-2"), "text/html", "Łódź"),
        (b"a,b\n1,2\n", "text/csv", "| 1 | 2 |"),
        (b"plain", "", "plain"),
    ],
)
async def test_fetched_documents(data: bytes, media_type: str, expected: str) -> None:
    assert expected in await read_document(data, media_type)


async def test_fetched_documents_that_are_too_large_or_broken() -> None:
    with pytest.raises(FileProblem, match="are allowed") as raised:
        await read_document(b"x" * 100, "text/plain", limits=FileLimits(max_bytes=10))
    assert raised.value.kind == "TooLarge"
    with pytest.raises(FileProblem, match="pdf"):
        await read_document(b"%PDF-1.4 garbage", "application/pdf")


async def test_text_that_is_too_long_is_cut_with_a_note(folder: Path) -> None:
    (folder / "a.txt").write_text("word " * 1000)
    result = await FileReader(folder, limits=FileLimits(max_output=1024)).call({"path": "a.txt"})
    assert "only the beginning" in result.text
    assert len(result.text) < 1200
