"""Targets: the score rule, the words, the leak guard, and the shape that a constrained judge can write."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reagent_training.data import wording
from reagent_training.data.answers import gives_away
from reagent_training.data.quality import process_score
from reagent_training.data.record import StepLabel
from reagent_training.data.signs import mess, read_signs, shown_numbers
from reagent_training.data.targets import Known, targets
from reagent_training.data.wording import one_line

from reagent_sdk import Task, Trajectory
from reagent_sdk.errors import InvalidInput
from reagent_sdk.leaks import stated_answers
from reagent_sdk.messages import Message, ToolCall, assistant, user
from reagent_sdk.parsing import parse_verdict, render_verdict
from reagent_sdk.rendering import render_record
from reagent_sdk.verdict import Verdict

LINE = r"[^<\n\r\x00-\x1f ][^<\n\r\x00-\x1f]{11,199}"
"""A line of `VERDICT_GRAMMAR`."""
LABEL = st.sampled_from([-1, 0, 1])

TASK = Task(question="How tall is the tower?", history=(Message(role="developer", content="Tools on offer: search"),))


def called(name: str, query: str, id: str) -> Message:
    return Message(role="assistant", content=None, tool_calls=(ToolCall.make(name, {"query": query}, id=id),))


def result(text: str, id: str) -> Message:
    return Message(role="tool", tool_call_id=id, content=text)


WORK = Trajectory(
    messages=(
        called("search", "tower", "1"),
        result("Error: no such index", "1"),
        user("How tall is the tower?"),
        called("search", "tower", "2"),
        result("The tower is 300 m tall.", "2"),
        assistant("It is 300 m tall."),
    ),
    answer="It is 300 m tall.",
)


@pytest.mark.parametrize(
    ("correct", "labels", "score"),
    [
        (True, [1, 1, 1], 0.9),
        (True, [0, 0], 0.7),
        (True, [-1, -1], 0.3),
        (True, [1, -1], 0.45),
        (False, [1, 1, 1], 0.55),
        (False, [-1, -1], 0.05),
        (True, [], 0.85),
        (False, [], 0.15),
        (None, [1, 1], None),
    ],
)
def test_the_score_rule(correct: bool | None, labels: list[int], score: float | None) -> None:
    assert process_score(correct, labels) == score


def test_a_sound_near_miss_is_above_a_lucky_mess() -> None:
    near, lucky, clean = process_score(False, [1] * 5), process_score(True, [-1] * 5), process_score(True, [1] * 5)
    assert near is not None
    assert lucky is not None
    assert clean is not None
    assert lucky < near < clean


@given(st.lists(LABEL, min_size=1, max_size=8), st.booleans(), st.integers(0, 7))
def test_a_better_step_never_lowers_the_score(labels: list[int], correct: bool, place: int) -> None:
    place %= len(labels)
    better = [*labels[:place], min(1, labels[place] + 1), *labels[place + 1 :]]
    before, after = process_score(correct, labels), process_score(correct, better)
    assert before is not None
    assert after is not None
    assert 0 <= before <= after <= 0.9


@given(st.lists(LABEL, max_size=8), st.floats(0, 1))
def test_a_right_answer_never_lowers_the_score(labels: list[int], share: float) -> None:
    right, wrong = process_score(True, labels, mess=share), process_score(False, labels, mess=share)
    assert right is not None
    assert wrong is not None
    assert right > wrong or (labels and min(labels) < 0)  # a lucky mess may lie below a near miss


@pytest.mark.parametrize(("labels", "share"), [([2], 0.0), ([], 1.5), ([], -0.1)])
def test_labels_out_of_range_are_refused(labels: list[int], share: float) -> None:
    with pytest.raises(InvalidInput):
        process_score(True, labels, mess=share)


def test_signs_see_failures_and_repeats() -> None:
    first, second, last = read_signs(TASK, WORK)
    assert (first.calls, first.failed, first.repeated) == (1, 1, 0)
    assert (second.calls, second.failed, second.repeated) == (1, 0, 1)
    assert (last.calls, last.number, last.tools) == (0, None, ())
    assert mess((first, second, last)) == 1.0


def test_a_step_that_is_no_call_counts_as_failed() -> None:
    work = Trajectory(
        messages=(assistant("<tool>"), user("No effective tool call detected."), assistant("x")), answer="x"
    )
    assert [sign.failed for sign in read_signs(TASK, work)] == [1, 0]


MESSAGES = st.lists(
    st.sampled_from([assistant("one thing"), user("How tall is the tower?"), user("more"), result("r", "1")])
    | st.just(called("search", "x", "1")),
    min_size=1,
    max_size=6,
)


@given(MESSAGES, st.booleans())
def test_numbers_are_those_that_the_judge_reads(messages: list[Message], ends: bool) -> None:
    work = Trajectory(messages=(*messages, *([assistant("the end")] if ends else [])), answer="the end")
    text = render_record(TASK, work, max_chars=100_000).text
    numbers = shown_numbers(TASK, work)
    heads = dict(re.findall(r"^\[(\d+)\] (\w+)", text, re.MULTILINE))
    assert len(heads) == len(numbers) + 1  # the tools on offer come first
    for index, number in numbers.items():
        role = work.messages[index].role
        assert heads[str(number)] == ("result" if role == "tool" else role)


def test_a_reason_of_people_is_told_at_the_step_that_the_judge_sees() -> None:
    steps = (StepLabel(message=0, label=-1, reason="The query names no tower."), StepLabel(message=3, label=1))
    made = targets(TASK, WORK, Known(False, steps))
    assert "Step [2] (search): The query names no tower." in made.critique
    assert "Step [2] (search): The query names no tower." in made.analysis
    assert made.score == 0.3
    assert not made.shortened


def test_a_reason_that_gives_the_answer_away_is_cut() -> None:
    reason = "It is 324 m, not 300. The page is out of date."
    steps = (StepLabel(message=5, label=-1, reason=reason),)
    made = targets(TASK, WORK, Known(False, steps, references=["324 m"]))
    assert made.shortened
    assert "324" not in made.critique
    assert "The page is out of date." in made.critique
    all_told = (StepLabel(message=5, label=-1, reason="It is 324 m."),)
    bare = targets(TASK, WORK, Known(False, all_told, references=["324 m"])).critique
    assert "324" not in bare
    assert "does not follow" in bare


def test_a_reason_in_another_script_is_not_told() -> None:
    made = targets(TASK, WORK, Known(False, (StepLabel(message=0, label=-1, reason="理解错误"),)))
    assert "理解错误" not in made.critique + made.analysis


def test_what_is_told_without_labels_is_what_can_be_seen() -> None:
    made = targets(TASK, WORK, Known(False))
    assert made.critique.startswith("Step [2] (search): the call fails")
    assert made.score == 0.05
    assert "repeated" in made.analysis
    clean = targets(TASK, WORK.model_copy(update={"messages": WORK.messages[3:]}), Known(True, key="k"))
    assert clean.critique in wording._CLEAN
    assert clean.score == 0.85


WORDS = st.text(st.characters(exclude_categories=("Cs",)), max_size=300)


@given(correct=st.none() | st.booleans(), labels=st.lists(LABEL, max_size=3), reason=WORDS, key=st.text(max_size=3))
def test_targets_have_the_shape_of_the_grammar_and_read_back(
    correct: bool | None, labels: list[int], reason: str, key: str
) -> None:
    places = [0, 3, 5]
    steps = tuple(StepLabel(message=places[at], label=label, reason=reason) for at, label in enumerate(labels))  # type: ignore[arg-type]
    made = targets(TASK, WORK, Known(correct, steps, key=key))
    assert re.fullmatch(rf"{LINE}(?:\n{LINE}){{0,3}}", made.analysis), made.analysis
    assert re.fullmatch(LINE, made.critique), made.critique
    verdict = Verdict.of(0.5 if made.score is None else made.score, made.critique, analysis=made.analysis)
    read = parse_verdict(render_verdict(verdict))
    assert (read.analysis, read.critique, read.score) == (made.analysis, made.critique, verdict.score)


@given(WORDS, st.integers(0, 60))
def test_one_line_is_one_line(text: str, keep: int) -> None:
    assert re.fullmatch(LINE, one_line(text, keep=min(keep, max(0, len(" ".join(text.split())) - 1))))


def test_no_phrase_of_ours_states_an_answer() -> None:
    for phrase in (*wording._CLEAN, *wording._FINAL, wording._UNANSWERED):
        assert stated_answers(phrase) == ()
        assert re.fullmatch(LINE, phrase)


@pytest.mark.parametrize(
    ("critique", "references", "leaks"),
    [
        ("Look at the Eiffel Tower again.", ["Eiffel Tower"], True),
        ("Look at the eiffel  tower again.", ["Eiffel Tower"], True),
        ("It was 1,250 people.", ["1250"], True),
        ("Avea Pilates is missing.", ["CrossFit East River\nAvea Pilates"], True),
        ("Marion was not considered.", ["Marion, South Australia"], True),
        ("Say no to guesses.", ["no"], False),
        ("See step [3].", ["3"], False),
        ("The answer is 3.", ["3"], True),
        ("The answer is 300.", [], False),
        ("The answer is 324.", [], True),
        ("Check the height.", ["324"], False),
    ],
)
def test_what_gives_the_answer_away(critique: str, references: list[str], leaks: bool) -> None:
    assert bool(gives_away(critique, TASK, WORK, references)) is leaks
