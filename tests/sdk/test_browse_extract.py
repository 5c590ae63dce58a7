from __future__ import annotations

import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reagent_sdk.errors import MissingExtra
from reagent_sdk.tools.files.roots import FileProblem
from reagent_sdk.tools.web.extract import extract, main_text, title_of, visible_text
from reagent_sdk.tools.web.passages import digest, joined, ranked, split

ARTICLE = (
    "<html><body><nav><a href=/>Home</a><a href=/x>Shop</a></nav><article><h1>Lamps</h1>{}</article></body></html>"
)
PROSE = "<p>A lamp is a thing that gives light, and there are many kinds of it in use today.</p>"


def test_the_main_part_without_the_menu() -> None:
    text = extract(ARTICLE.format(PROSE * 5))
    assert "# Lamps" in text
    assert "gives light" in text
    assert "Shop" not in text


@pytest.mark.parametrize(
    "html",
    [
        "<p>lamp",
        "lamp",
        "<div><div><b>lamp</i></div>",
        "<html><body><table><tr><td>lamp</table>",
        "<div>" * 20_000 + "lamp",
        "<b><i>" * 5_000 + "lamp",
        "<!-- <p>lamp</p> --><p>lamp</p>",
        "<html><head><style>p {}</style></head><frameset><noframes>lamp",
        "\0<p>lamp",
        "<p>lamp&#0;&#xffffffff;&nosuch;",
        "<?xml version='1.0' encoding='utf-16'?><html><body><p>lamp</p></body></html>",
        "<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><p>lamp &a;</p>",
    ],
)
def test_broken_html_still_gives_its_text(html: str) -> None:
    text = extract(html)
    assert "lamp" in text
    assert "root:" not in text


@pytest.mark.parametrize(
    "html", ["", " ", "<", "<html>", "<script>lamp()</script>", "<style>lamp{}</style>", "<!--lamp-->"]
)
def test_nothing_to_read(html: str) -> None:
    assert "lamp" not in extract(html)


def test_visible_text_has_a_line_for_each_block() -> None:
    assert visible_text("<div>one<br>two</div><p>three <b>four</b></p><script>x</script>") == "one\ntwo\nthree four"


@given(st.text(alphabet="<>/=\"'& abpdivscript!-\0\n", max_size=120))
def test_any_soup_is_read(html: str) -> None:
    visible_text(html)
    extract(html)


def test_titles() -> None:
    assert title_of("<title>\n A &amp; B\n</title>") == "A & B"
    assert title_of("<svg></svg><TITLE lang=en>x</TITLE>") == "x"
    assert title_of("<p>none") == ""


@pytest.mark.anyio
async def test_a_large_page_is_read_in_a_process() -> None:
    text = await main_text(ARTICLE.format(PROSE + "<p>filler of some length, here and there</p>" * 2_000), 30)
    assert "gives light" in text


@pytest.mark.anyio
async def test_a_page_that_hangs_the_parser_is_stopped() -> None:
    """A million characters of attributes on one tag take libxml2 more than a minute."""
    hostile = "<p>lamp</p><a " + " ".join(f"a{n}=1" for n in range(125_000)) + ">"
    began = time.monotonic()
    with pytest.raises(FileProblem):
        await main_text(hostile, 1.5)
    assert time.monotonic() - began < 40


def test_the_worst_small_page_takes_no_longer_than_a_moment() -> None:
    hostile = "<p>lamp</p><a " + " ".join(f"a{n}=1" for n in range(9_000)) + ">"
    assert len(hostile) > 60_000
    began = time.process_time()
    extract(hostile)
    assert time.process_time() - began < 10


def test_without_trafilatura_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "trafilatura", None)
    with pytest.raises(MissingExtra, match="tools"):
        extract("<p>x")


TEXT = (
    "\n\n".join(f"The bridge number {n} crosses a river." for n in range(60))
    + "\n\nFredville is a capital. 東京は首都。"
)


@pytest.mark.parametrize("query", ["Which capitals?", "FREDVILLE", "首都", 'capital" OR "x', "capital AND NEAR("])
def test_the_best_passage_comes_first(query: str) -> None:
    assert "Fredville" in ranked(split(TEXT, 200), query)[0].text


@pytest.mark.parametrize("query", ["", "zebra", '"', "*", "()"])
def test_no_passage(query: str) -> None:
    assert ranked(split(TEXT, 200), query) == []


@given(st.text(max_size=300), st.integers(10, 60))
def test_passages_hold_the_whole_text(text: str, size: int) -> None:
    passages = split(text, size)
    assert "".join("".join(one.text.split()) for one in passages) == "".join(text.split())
    assert [one.number for one in passages] == list(range(1, len(passages) + 1))


@given(st.text(min_size=1, max_size=600), st.text(max_size=20), st.integers(80, 300))
def test_a_digest_fits(text: str, query: str, room: int) -> None:
    assert len(digest(text, query, room, 60)) <= room


def test_a_digest_is_never_empty_for_want_of_a_small_passage() -> None:
    assert "Fredville" in digest("x " * 400 + TEXT, "Fredville", 500, 5_000)
    assert digest(" " * 600, "Fredville", 500, 100) == ""


def test_gaps_are_marked() -> None:
    one, _, three, four = split("one. two. three. four.", 6)[:4]
    assert joined([one, three, four]) == f"{one.text}\n\n[...]\n{three.text}\n\n{four.text}"
