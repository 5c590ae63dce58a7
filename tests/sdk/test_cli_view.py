"""What models say must reach the screen as plain text: no control sequences, no markup, no torn layout."""

from __future__ import annotations

import io
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from reagent_sdk import Attempt, Message, Run, StopReason, Task, ToolCall, Trajectory, Usage, Verdict, VerdictStatus
from reagent_sdk.cli.progress import LINES, Working
from reagent_sdk.cli.questions import QUESTIONS, contains
from reagent_sdk.cli.rows import shortened
from reagent_sdk.cli.run_page import print_run
from reagent_sdk.cli.terminal import as_json, clean, one_line, score_text
from reagent_sdk.cli.view import RunView
from reagent_sdk.events import (
    AttemptJudged,
    AttemptSolved,
    AttemptStarted,
    Event,
    PromptProgress,
    Retrying,
    RunFinished,
    TextDelta,
    ToolCalled,
    ToolReturned,
)

HOSTILE = (
    "\x1b[2J\x1b[H\x1b]0;pwned\x07\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\ \x9b31m\x1bP1;2q\x1b\\ "
    "\x08\x08\rover\x7f \u202etxet\u2066 \ud800 [bold red]markup[/] :boom: \x1b]52;c;ZXZpbA==\x07 end"
)


def screen(*, live: bool = False) -> Console:
    return Console(
        file=io.StringIO(), width=80, height=24, force_terminal=live, highlight=False, markup=False, emoji=False
    )


def printed(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def is_plain(text: str) -> bool:
    return all(char in "\n\t" or unicodedata.category(char) not in ("Cc", "Cs") for char in text)


def events_of(text: str) -> list[Event]:
    work = (
        Message(role="assistant", content=None, tool_calls=(ToolCall.make(f"tool{text}", text),)),
        Message(role="tool", content=text),
    )
    trajectory = Trajectory(messages=work, answer=text, usage=Usage(completion_tokens=5, seconds=1.0))
    verdict = Verdict.of(0.25, text, analysis=text)
    failed = Verdict.failed(VerdictStatus.UNAVAILABLE, text)
    attempts = (
        Attempt(index=0, trajectory=trajectory, verdict=verdict),
        Attempt(index=1, trajectory=trajectory, verdict=failed, feedback=text),
    )
    run = Run(
        task=Task.of(text),
        attempts=attempts,
        chosen=0,
        stop=StopReason.JUDGE_FAILED,
        why=text,
        notes=(text,),
        judge=text,
    )
    return [
        AttemptStarted(0, None),
        PromptProgress("agent", 3, 10),
        TextDelta("agent", text),
        Retrying("agent", text, text, 1.5),
        ToolCalled(ToolCall.make(text, text)),
        ToolReturned(ToolCall.make(text, text), text, text),
        AttemptSolved(0, trajectory),
        AttemptJudged(0, verdict),
        AttemptStarted(1, text),
        AttemptSolved(1, trajectory),
        AttemptJudged(1, failed),
        RunFinished(run),
    ]


def test_hostile_text_reaches_the_screen_as_plain_text() -> None:
    console = screen()
    with RunView(console, live=False) as view:
        for event in events_of(HOSTILE):
            view.show(event)
    run = events_of(HOSTILE)[-1]
    assert isinstance(run, RunFinished)
    print_run(console, run.run, analysis=True)
    shown = printed(console)
    assert is_plain(shown)
    assert "pwned" not in shown
    assert "\u202e" not in shown
    assert "[bold red]markup[/]" in " ".join(shown.split())  # shown, not obeyed
    assert ":boom:" in shown


def test_tool_calls_are_shown_once_whether_they_come_as_events_or_with_the_attempt() -> None:
    call = ToolCall.make("search", {"q": "x"}, id="1")
    work = (Message(role="assistant", tool_calls=(call,)), Message(role="tool", content="found", tool_call_id="1"))
    solved = AttemptSolved(0, Trajectory(messages=work, answer="a"))
    for before in ([], [ToolCalled(call), ToolReturned(call, "found", None)]):
        console = screen()
        with RunView(console, live=False) as view:
            for event in (AttemptStarted(0, None), *before, solved):
                view.show(event)
        assert printed(console).count('search({"q": "x"})') == 1
        assert printed(console).count("found") == 1


def test_the_live_view_sends_no_sequence_of_a_model_to_the_terminal() -> None:
    console = screen(live=True)
    with RunView(console, live=True) as view:
        for event in events_of(HOSTILE):
            view.show(event)
            if view._live is not None:
                view._live.refresh()
    shown = printed(console)
    for sequence in ("\x1b]", "\x1bP", "\x9b", "\x1b[2J\x1b[H\x1b]0", "pwned"):
        assert sequence not in shown


def test_a_sequence_that_is_split_over_two_deltas_is_removed_as_well() -> None:
    console, working = screen(), Working()
    working.begin("the agent")
    for piece in ("before \x1b", "]0;pw", "ned", "\x07 after"):
        working.write(piece)
    console.print(working)
    assert "before" in printed(console)
    assert "after" in printed(console)
    assert "pwned" not in printed(console)


@given(st.text(), st.text(alphabet="\x1b[]0;\x07\x9b\x9dm\\P~ a\n", max_size=30))
def test_no_text_at_all_gets_through_with_a_control_character(text: str, noise: str) -> None:
    assert is_plain(clean(text + noise + text))
    assert is_plain(one_line(noise + text))
    assert as_json(noise).isascii()


@pytest.mark.parametrize("text", ["plain", "größer 日本語 👩‍👩‍👧", "a\tb\nc", "[1] x <b> {y} \\n"])
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert clean(text) == text


def test_a_text_without_end_stays_inside_its_window() -> None:
    console, working = screen(), Working()
    working.begin("the agent")
    for number in range(5_000):
        working.write(f"word{number} " if number % 7 else "\n\n")
    console.print(working)
    lines = printed(console).splitlines()
    assert len(lines) <= LINES + 1
    assert max(len(line) for line in lines) <= 80
    assert "word4999" in lines[-1]


def test_a_long_draft_is_cut_with_a_count_of_the_rest() -> None:
    cut = shortened("x" * 5_000)
    assert len(cut) < 700
    assert "(4400 more characters)" in cut
    assert shortened("a\nb") == "a\nb"
    assert "more characters" in shortened("line\n" * 100)


def test_only_a_perfect_score_fills_the_bar() -> None:
    assert "░" in score_text(0.99).plain
    assert "░" not in score_text(1.0).plain
    assert "█" not in score_text(0.0).plain


@pytest.mark.parametrize(
    ("answer", "expected", "found"),
    [
        ("It is 12.", "12", True),
        ("12", "12", True),
        ("4 * 3 = 12, so 12 eggs", "12", True),
        ("112", "12", False),
        ("12.5", "12", False),
        ("1,12", "12", False),
        ("-12", "12", False),
        ("twelve", "12", False),
        ("It will be THURSDAY!", "Thursday", True),
        ("Thursdays", "Thursday", False),
    ],
)
def test_the_demo_looks_for_the_whole_expected_word(answer: str, expected: str, found: bool) -> None:
    assert contains(answer, expected) is found


def test_the_demo_has_at_least_three_questions_with_known_answers() -> None:
    assert sum(question.expected is not None for question in QUESTIONS) >= 3
