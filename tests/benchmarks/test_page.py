"""The page: what is in it, what it cannot be made to do, and that it stays quick, in a real browser too."""

from __future__ import annotations

import itertools
import json
import re
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reagent_benchmarks.outcomes import ArmResult, Outcome
from reagent_benchmarks.page import charts, write, write_page
from reagent_benchmarks.page.embed import embedded
from reagent_benchmarks.page.text import cut, short, visible
from reagent_benchmarks.stats.summary import summarise

from reagent_sdk import InvalidInput

from .arm_rows import row, study
from .chromium import Tab, binary, browser
from .hostile_rows import MARK, PAYLOADS, hostile_rows

ANY_TEXT = st.text(st.characters(exclude_categories=[]), max_size=60)
NEEDS_CHROMIUM = pytest.mark.skipif(binary() is None, reason="needs Chromium: apt-get install chromium")


def page_of(rows: list[ArmResult], folder: Path, **facts: str) -> str:
    path = folder / "page.html"
    write_page(rows, path, title=facts.pop("title", "A study"), facts=facts)
    return path.read_text(encoding="utf-8")


class Outline(HTMLParser):
    """Tags and attributes of a page, and the text of its blocks, as the standard library reads them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: dict[str, str] = {}
        self._block = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._block = str(dict(attrs).get("id", tag))

    def handle_data(self, data: str) -> None:
        self.text[self._block] = self.text.get(self._block, "") + data

    def records(self) -> list[dict[str, Any]]:
        return [json.loads(text) for name, text in self.text.items() if name.startswith("run-")]


# What a text can do


@given(st.recursive(ANY_TEXT, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3)))
def test_embedded_json_is_read_back_and_holds_nothing_of_html(value: Any) -> None:
    text = embedded(value)
    assert json.loads(text) == value
    assert not re.search("[<>&\u2028\u2029\0]|[^\x20-\x7e]", text)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_numbers_that_json_has_no_word_for_are_refused(number: float) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        embedded({"score": number})


@given(ANY_TEXT)
def test_visible_text_can_be_written_and_controls_nothing(text: str) -> None:
    shown = visible(text)
    shown.encode("utf-8")
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", shown)
    assert visible(shown) == shown
    assert "\n" not in short(text, 20)
    assert len(short(text * 9, 20)) <= 20


@given(st.text(max_size=80), st.integers(2, 40))
def test_a_cut_text_tells_exactly_what_is_missing(text: str, limit: int) -> None:
    found = cut(text, limit)
    if isinstance(found, str):
        assert found == visible(text)
        assert len(text) <= limit
        return
    assert found["left_out"] == len(text) - limit > 0
    kept = limit * 3 // 4
    assert (found["head"], found["tail"]) == (visible(text[:kept]), visible(text[len(text) - (limit - kept) :]))


# What is on the page


def test_the_page_holds_every_row_and_the_figures(tmp_path: Path) -> None:
    rows = list(study(30))
    html = page_of(rows, tmp_path, title="Capitals", agent="toy-1")
    outline = Outline(html)
    index = json.loads(outline.text["index"])
    assert [(one["sample"], one["arm"], one["outcome"]) for one in index] == [
        (one.sample, one.arm, one.outcome.value) for one in rows
    ]
    (summary,) = summarise(rows)
    critique = next(one for one in summary.arms if one.arm == "critique")
    assert critique.against is not None
    changes = [one["change"] for one in index if one["arm"] == "critique"]
    assert (changes.count("fixed"), changes.count("broken")) == (critique.against.fixed, critique.against.broken)
    assert f"{critique.accuracy.value:.1%}" in html
    assert "toy-1" in html
    assert all(line in html.replace("&#39;", "'") for line in summary.warnings)
    assert len(outline.records()) == len(rows)
    assert [tag for tag, _ in outline.tags].count("svg") == 2 + 3  # differences, price, and reliability of each arm


def test_a_record_has_attempts_with_results_at_their_calls_and_no_work_twice(tmp_path: Path) -> None:
    rows = list(study(12))
    revised = next(place for place, one in enumerate(rows) if one.run and len(one.run.attempts) == 2)
    record = Outline(page_of(rows, tmp_path)).records()[revised]
    first, second = record["attempts"]
    (call,) = first["steps"][0]["calls"]
    assert call["name"] == "search"
    assert json.loads(call["arguments"]) == {"query": "capital, try 1", "limit": 5}
    assert call["result"].startswith("1. ")
    assert (second["carried"], len(second["steps"]), second["chosen"]) == (2, 2, True)
    assert second["feedback"] == "The source does not name the city. Look again."
    assert first["verdict"]["critique"] == "The source does not name the city."


def test_rows_without_runs_figures_or_prices_still_make_a_page(tmp_path: Path) -> None:
    rows = [row("a", "bare", None), row("a", "critique", None), row("b", "other", True, benchmark="second")]
    outline = Outline(page_of(rows, tmp_path))
    assert [one["answer"] for one in outline.records()] == [None, None, "an answer"]
    assert "attempts" not in outline.records()[0]
    with pytest.raises(InvalidInput, match="twice"):
        write_page([rows[0], rows[0]], tmp_path / "page.html", title="t", facts={})


def test_epochs_are_told_apart_and_pass_at_k_is_shown(tmp_path: Path) -> None:
    rows = [row(f"q{n}", "bare", (n + e) % 3 == 0, epoch=e) for n in range(9) for e in (1, 2)]
    html = page_of(rows, tmp_path)
    assert "pass@k" in html
    assert "66.7%" in html  # two of three questions are right in one of two tries


def test_a_text_of_5_mb_is_cut_with_a_mark_and_the_file_stays_small(tmp_path: Path) -> None:
    html = page_of(list(hostile_rows(5_000_000)), tmp_path)
    answer = Outline(html).records()[-1]["answer"]
    assert answer["head"].startswith("begin <b>&")
    assert answer["tail"].endswith(" end")
    assert answer["left_out"] == 5_000_010 - 20_000
    assert len(html) < 3_000_000


def test_very_many_long_runs_are_cut_shorter_until_they_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write, "ROOM", 60_000)
    rows = [row(f"q{n}", "bare", True, answer="x" * 30_000) for n in range(10)]
    html = page_of(rows, tmp_path)
    assert [one["answer"]["left_out"] for one in Outline(html).records()] == [25_000] * 10
    assert "5,000 characters are cut" in html
    monkeypatch.setattr(write, "ROOM", 10)
    assert Outline(page_of(rows, tmp_path)).records()[0]["answer"]["left_out"] == 29_800  # never less than 200


def test_the_page_is_the_same_again(tmp_path: Path) -> None:
    rows = list(study(5))
    assert page_of(rows, tmp_path) == page_of(rows, tmp_path)


def test_no_hostile_text_becomes_markup(tmp_path: Path) -> None:
    """Read by a parser that knows nothing of the page: the tags are those of a page with harmless texts."""
    harmless = [
        one.model_copy(update={"sample": f"s{place // 2}", "arm": "bare" if one.arm == "bare" else f"arm {place}"})
        for place, one in enumerate(hostile_rows())
    ]
    plain = Outline(page_of(harmless, tmp_path))
    path = tmp_path / "hostile.html"
    text = "".join(PAYLOADS.values())
    write_page(hostile_rows(), path, title=text, facts={text: text})
    data = path.read_bytes()
    hostile = Outline(data.decode("utf-8"))
    assert b"\0" not in data
    known = {tag for tag, _ in plain.tags} | {"dl", "div", "dt", "dd", "bdi"}
    assert {tag for tag, _ in hostile.tags} <= known
    assert [tag for tag, _ in hostile.tags].count("script") == 2 + 2 * len(PAYLOADS)
    for _, attributes in hostile.tags:
        assert not any(name.startswith("on") or name in ("src", "href", "srcdoc", "style") for name in attributes)
    assert hostile.records()[0]["answer"] == visible(PAYLOADS["end of script"])


def test_the_policy_allows_our_two_blocks_and_nothing_else(tmp_path: Path) -> None:
    html = page_of([row("q", "bare", True)], tmp_path)
    (policy,) = (tag["content"] for _, tag in Outline(html).tags if tag.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    assert re.fullmatch(r"'sha256-[A-Za-z0-9+/]{43}='", rules["script-src"])
    assert not any("</" in (write.HERE / name).read_text() for name in ("page.js", "page.css"))
    assert not re.search(r"unsafe|https?:|\*|data:", policy)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|fetch\(|XMLHttp", html)


# Charts


@given(st.floats(-1, 1), st.floats(0, 1))
def test_axes_hold_what_they_are_made_for_and_have_few_round_ticks(low: float, span: float) -> None:
    axis = charts.Axis.over(low, low + span, 0, 100)
    assert axis.low <= low + 1e-9
    assert axis.high >= low + span - 1e-9
    assert 2 <= len(axis.ticks) <= 7
    assert 0 <= axis.at(low) <= axis.at(low + span) <= 100


def test_labels_of_arms_that_lie_together_do_not_overlap() -> None:
    rows = [row(f"q{n}", f"arm {a}", n % 2 == 0, tokens=100) for a in range(5) for n in range(4)]
    (summary,) = summarise(rows)
    chart = charts.price(summary)
    assert chart is not None
    heights = sorted(mark.label_y for mark in chart.marks)
    assert heights[0] >= 15
    assert all(after - before >= 15 for before, after in itertools.pairwise(heights))
    assert chart.name == "tokens a question"  # no prices are known


def test_reliability_counts_graded_rows_with_scores_only() -> None:
    rows = [row(f"q{n}", "bare", n % 2 == 0, score=0.9) for n in range(4)]
    rows += [row("x", "bare", None, score=0.9), row("y", "bare", True), row("z", "other", True)]
    (chart,) = charts.reliabilities(rows, "bare")
    (mark,) = chart.marks
    assert mark.text == "score 0.90: 50% of 4 right"
    assert chart.note.startswith("4 rows, Brier 0.410")


# In a browser


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    program = binary()
    assert program is not None
    with browser(program, tmp_path_factory.mktemp("profile")) as opened:
        yield opened


def quiet(tab: Tab, path: Path) -> None:
    """Nothing was asked for but the file, and nothing was complained of: no error, no violation of the policy."""
    assert [event["params"]["request"]["url"] for event in tab.of("Network.requestWillBeSent")] == [path.as_uri()]
    assert tab.of("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded") == []
    assert tab.evaluate("globalThis.pwned === undefined")


@NEEDS_CHROMIUM
def test_a_hostile_page_stays_whole_and_silent(tab: Tab, tmp_path: Path) -> None:
    path = tmp_path / "hostile page.html"
    text = "".join(PAYLOADS.values())
    write_page(hostile_rows(5_000_000), path, title=text, facts={text: text})
    tab.open(path.as_uri())
    assert tab.evaluate("entries.length") == 2 * len(PAYLOADS) + 1
    for place, payload in enumerate(PAYLOADS.values()):
        found = tab.evaluate(
            f"""open({2 * place + 1});
            document.querySelectorAll("details").forEach((one) => {{ one.open = true; }});
            [...document.querySelectorAll("#detail .text")].map((one) => one.textContent)"""
        )
        assert found.count(visible(payload)) > 10, payload
    assert tab.evaluate("document.querySelectorAll('#detail del, #detail ins').length") > 0
    strange = "img, iframe, svg script, base, link, object, a, textarea, [onload], [onerror], [onfocus], [style]"
    assert tab.evaluate(f"document.querySelectorAll({json.dumps(strange)}).length") == 0
    assert tab.evaluate("document.scripts.length") == 2 * len(PAYLOADS) + 3
    assert tab.evaluate("document.body.lastElementChild.tagName") == "SCRIPT"
    tab.evaluate(f"open({2 * len(PAYLOADS)})")
    assert tab.evaluate("document.querySelector('#detail .cut').textContent") == "left out here: 4,980,010 characters"
    tab.evaluate(f"byId('search').value = {json.dumps(MARK)}; apply()")
    assert tab.evaluate("state.found.length") > 10
    quiet(tab, path)


@NEEDS_CHROMIUM
def test_each_text_keeps_its_place_whatever_direction_it_is_written_in(tab: Tab, tmp_path: Path) -> None:
    names = [text for name, text in PAYLOADS.items() if re.search("[\u0590-\u05ff]", text)] + [
        "\u05e9\u05dc\u05d5\u05dd"
    ]
    rows = [row(name, name, True) for name in names]
    path = tmp_path / "page.html"
    write_page(rows, path, title="t", facts={})
    tab.open(path.as_uri())
    for place in range(len(rows)):
        boxes = tab.evaluate(
            f"""open({place});
            [...document.querySelectorAll("#detail h3 > bdi")].map((one) => one.getBoundingClientRect())
                .map((box) => [box.left, box.right])"""
        )
        ((left, right), (after, _)) = boxes
        assert left < right <= after, rows[place].sample
    assert "⟦RLO⟧evil" in tab.evaluate("document.body.innerText")
    quiet(tab, path)


@NEEDS_CHROMIUM
def test_a_script_that_got_in_would_not_run(tab: Tab, tmp_path: Path) -> None:
    """The last wall: even markup that is put into the page on purpose runs nothing and asks for nothing."""
    path = tmp_path / "page.html"
    write_page([row("q", "bare", True)], path, title="t", facts={})
    html = path.read_text(encoding="utf-8")
    evil = f"{PAYLOADS['image']}{PAYLOADS['remote image']}<script>{MARK}</script><style>body {{ color: red }}</style>"
    path.write_text(html.replace("<header>", f"{evil}<header>"), encoding="utf-8")
    tab.open(path.as_uri())
    assert tab.evaluate("document.images.length") == 2
    assert tab.evaluate("globalThis.pwned === undefined")
    assert tab.evaluate("getComputedStyle(document.body).color") != "rgb(255, 0, 0)"
    for event in tab.of("Network.responseReceived", "Network.dataReceived"):
        assert event["params"].get("response", {}).get("url", path.as_uri()) == path.as_uri()
    assert tab.of("Log.entryAdded") != []  # the policy's complaints
    with pytest.raises(AssertionError, match="TrustedHTML"):
        tab.evaluate("document.body.innerHTML = '<b>no</b>'")


@NEEDS_CHROMIUM
def test_filters_search_and_keys_find_runs(tab: Tab, tmp_path: Path) -> None:
    rows = list(study(60))
    path = tmp_path / "page.html"
    write_page(rows, path, title="t", facts={})
    tab.open(path.as_uri())
    (summary,) = summarise(rows)
    expected = {
        "all": len(rows),
        "fixed": sum(one.against.fixed for one in summary.arms if one.against),
        "broken": sum(one.against.broken for one in summary.arms if one.against),
        "judge failed": sum(one.judge_failed for one in rows),
        "failed": sum(not one.outcome.graded for one in rows),
        "right": sum(one.outcome is Outcome.RIGHT for one in rows),
        "wrong": sum(one.outcome is Outcome.WRONG for one in rows),
    }
    assert expected["fixed"] > 0
    counts = """Object.fromEntries(
        [...byId('filters').children].map((one) => [one.dataset.filter, Number(one.lastChild.textContent)])
    )"""
    assert tab.evaluate(counts) == expected
    tab.evaluate("byId('filters').querySelector('[data-filter=fixed]').click()")
    shown = tab.evaluate("[...byId('list').children].map((one) => one.querySelector('.badge').textContent)")
    assert shown == ["▲ fixed"] * expected["fixed"]
    tab.evaluate("byId('arm').value = 'gated'; byId('arm').dispatchEvent(new Event('change'))")
    assert tab.evaluate("new Set(state.found.map((place) => entries[place].arm)).size") == 1
    tab.evaluate("byId('list').querySelector('button').click(); byId('list').querySelector('button').focus()")
    tab.call("Input.dispatchKeyEvent", type="keyDown", key="ArrowDown")
    assert tab.evaluate("state.open === state.found[1] && location.hash === `#run=${state.open}`")
    tab.evaluate(
        """byId('arm').value = '';
        byId('filters').firstChild.click();
        byId('search').value = 'CAPITAL NUMBER 7?';
        apply()"""
    )
    assert tab.evaluate("state.found.map((place) => entries[place].sample)") == ["q7", "q7", "q7"]
    tab.evaluate("byId('search').value = 'nobody wrote this'; apply()")
    assert tab.evaluate("byId('position').textContent") == "no run fits"
    quiet(tab, path)
    tab.open("about:blank")  # or the next would not load the page again
    tab.open(path.as_uri() + "#run=33")
    assert tab.evaluate("state.open") == 33


@NEEDS_CHROMIUM
def test_differences_between_answers_put_together_give_both(tab: Tab, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    write_page(list(study(3)), path, title="t", facts={})
    tab.open(path.as_uri())
    pairs = [("the cat sat", "the dog sat down"), ("", "new"), ("a\nb\nc", "a\nc\nd"), ("x " * 900, "x " * 900 + "y")]
    for before, after in pairs:
        pieces = tab.evaluate(f"compared({json.dumps(before)}.split(/(\\s+)/), {json.dumps(after)}.split(/(\\s+)/))")
        assert "".join(text for kind, text in pieces if kind != "ins") == before
        assert "".join(text for kind, text in pieces if kind != "del") == after
    assert tab.evaluate("difference('w '.repeat(5000), 'v '.repeat(5000)).textContent") != ""
    assert tab.evaluate("difference('w\\n'.repeat(5000), 'v\\n'.repeat(5000)).textContent") == "too long to compare"


@NEEDS_CHROMIUM
def test_two_thousand_runs_open_and_filter_without_lag(tab: Tab, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    write_page(list(study(667)), path, title="t", facts={})
    began = time.perf_counter()
    tab.open(path.as_uri())
    opened = time.perf_counter() - began
    took = """((act) => {
        const began = performance.now();
        act();
        document.body.offsetHeight; // lays the page out
        return performance.now() - began;
    })"""
    tab.evaluate("document.body.offsetHeight")
    filtered = tab.evaluate(f"{took}(() => byId('filters').children[1].click())")
    first = tab.evaluate(f"byId('search').value = 'bern'; {took}(apply)")
    again = tab.evaluate(f"byId('search').value = 'berne'; {took}(apply)")
    shown = tab.evaluate(f"{took}(() => open(1500))")
    assert tab.evaluate("byId('list').children.length") <= 100
    figures = (
        f"opened {opened:.2f} s, filter {filtered:.0f} ms, search {first:.0f} and {again:.0f} ms, run {shown:.0f} ms"
    )
    print(figures)  # noqa: T201 - shown with -s
    assert opened < 15, figures  # an idle machine needs well below one second
    assert max(filtered, again, shown) < 2_000, figures  # a loaded one, ten times what it takes
    assert first < 6_000, figures
    quiet(tab, path)
