"""Graders of answers: what they take for right, what they refuse, and what they do with hostile text."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import re
import string
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from reagent_benchmarks.grading import GRADERS, Grade, Grader, RuleGrader, grader
from reagent_benchmarks.grading.choice import ChoiceGrader, YesNoGrader
from reagent_benchmarks.grading.final import final_answer
from reagent_benchmarks.grading.maths import MathsGrader
from reagent_benchmarks.grading.maths_process import MathsProcess
from reagent_benchmarks.grading.numeric import NumericGrader
from reagent_benchmarks.grading.quantities import quantity
from reagent_benchmarks.grading.text import F1Grader, TextGrader, exact_match, f1, normal, squad_normal
from sybil import Document
from sybil.parsers.markdown import PythonCodeBlockParser

from reagent_sdk.errors import InvalidInput

RULES: tuple[RuleGrader, ...] = (
    TextGrader(),
    F1Grader(),
    F1Grader(0.7),
    ChoiceGrader(),
    YesNoGrader(),
    NumericGrader(),
)
words = st.text(st.characters(categories=("Lu", "Ll")), min_size=2, max_size=10).filter(
    lambda word: normal(word) and not {"or", "and", "answer"} & {word.casefold()}
)
numbers = st.integers(-(10**9), 10**9)


@pytest.fixture(scope="module")
def maths() -> Iterator[MathsGrader]:
    made = MathsGrader(seconds=1, wall=100)
    yield made
    made.close()


def boxed(text: str) -> str:
    return f"It is \\boxed{{{text}}}."


@given(st.text(max_size=200), st.lists(st.text(max_size=60), max_size=3), st.booleans())
def test_any_text_can_be_graded(answer: str, references: list[str], cut_off: bool) -> None:
    for rule in RULES:
        grade = rule.check(answer, references, question=answer, cut_off=cut_off)
        assert grade.why
        assert "\n" not in grade.why
        assert grade.right is not None or not any(map(str.strip, references)) or rule.name in ("yes_no", "numeric")


@given(st.text(max_size=80).filter(str.strip))
def test_a_reference_accepts_itself(gold: str) -> None:
    assert all(rule.check(gold, ["other", gold]).right for rule in RULES)


@given(st.text(max_size=60).filter(str.strip))
def test_a_reference_in_a_marked_answer_accepts_itself(gold: str) -> None:
    line = " ".join(gold.split())
    assume(final_answer(f"Answer: {line}") == line)
    assert TextGrader().check(f"I looked.\nAnswer: {line}\n", [line]).right


@given(st.text(max_size=80))
def test_normal_forms_are_idempotent(text: str) -> None:
    assert normal(normal(text)) == normal(text)
    assert squad_normal(squad_normal(text)) == squad_normal(text)


@given(
    st.lists(words, min_size=2, max_size=5, unique_by=normal),
    st.sampled_from((" or ", "/", ", ", "; ", " and ", " | ")),
)
def test_a_list_of_candidates_is_never_right(candidates: list[str], between: str) -> None:
    said = between.join(candidates)
    for rule in (TextGrader(), F1Grader(), F1Grader(0.67)):
        for gold in candidates:
            assert rule.check(f"Answer: {said}", [gold]).right is False


@given(st.lists(numbers, min_size=2, max_size=4, unique=True), st.sampled_from((" or ", "/", ", ", "; ", " and ")))
def test_a_list_of_numbers_is_never_right(values: list[int], between: str) -> None:
    said = between.join(map(str, values))
    assert not any(NumericGrader().check(f"Answer: {said}", [str(gold)]).right for gold in values)


def reference_normal(text: str) -> str:
    """SQuAD's evaluation script, from its description: lower case, no punctuation, no articles, single spaces."""
    text = "".join(char for char in text.lower() if char not in set(string.punctuation))
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def reference_f1(answer: str, gold: str) -> float:
    said, wanted = reference_normal(answer).split(), reference_normal(gold).split()
    shared = sum((Counter(said) & Counter(wanted)).values())
    if not said or not wanted:
        return float(said == wanted)
    if not shared:
        return 0.0
    precision, recall = shared / len(said), shared / len(wanted)
    return 2 * precision * recall / (precision + recall)


@given(*2 * [st.lists(st.sampled_from(["the", "a", "cat", "Cat,", "sat", "an", "mat!", "é", "x-y"]), max_size=7)])
def test_exact_match_and_f1_are_those_of_squad(said: list[str], gold: list[str]) -> None:
    answer, reference = " ".join(said), " ".join(gold)
    assert exact_match(answer, reference) == (reference_normal(answer) == reference_normal(reference))
    assert f1(answer, reference) == pytest.approx(reference_f1(answer, reference))


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ("Answer: 3\nso\nAnswer: 4", "4"),
        ("**Answer:** Paris", "Paris"),
        ("**Answer: Paris**", "Paris"),
        ("The final answer is: $5$. I hope it is correct.", "5"),
        ("The answer is Paris.\nBye.", "Paris."),
        (r"\boxed{3}, no: \boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"Answer: \boxed{\{1, 2\}}", r"\{1, 2\}"),
        ("<answer>\n7\n</answer>", "7"),
        ("<answer></answer>", ""),
        ("2 + 2\n#### 4", "4"),
        ("<think>Answer: 3</think>4", "4"),
        ("<think>Answer: 3", ""),
        ("one\n\ntwo\n", "two"),
        (r"\boxed{3} or \boxed{5", ""),  # the last box was meant
        ("Answer:", ""),
        ("", ""),
    ],
)
def test_what_counts_as_the_answer(reply: str, said: str) -> None:
    assert final_answer(reply) == said


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ("Answer: 12", ""),
        ("Answer: 12\n", "12"),
        (r"\boxed{12}", "12"),
        (r"\boxed{12", ""),
        ("12", ""),
        ("<answer>1</answer>", "1"),
    ],
)
def test_of_a_cut_off_reply_only_a_finished_answer_counts(reply: str, said: str) -> None:
    assert final_answer(reply, cut_off=True) == said
    assert NumericGrader().check(reply, ["12"], cut_off=True).right is (said == "12")


@pytest.mark.parametrize(
    ("said", "gold", "right"),
    [
        ("the Eiffel Tower!", "Eiffel Tower", True),
        ("“Eiffel Tower”", "eiffel tower", True),
        (r"\boxed{\text{Paris}}", "Paris", True),
        ("Paris, France", "Paris", False),
        ("I think that it may well be Paris", "Paris", False),
        ("not Paris", "Paris", False),
        ("1.5", "15", False),
        ("-5", "5", False),
        ("1,000", "1000", True),
        ("C", "C++", False),
        ("the", "A", False),
        ("10²", "102", False),
    ],
)
def test_text(said: str, gold: str, right: bool) -> None:
    assert TextGrader().check(said, ["something else", gold]).right is right


def test_f1_is_a_value_and_decides_only_with_a_threshold() -> None:
    said, gold = "George W. Bush junior", "George W. Bush"
    strict, near = F1Grader().check(said, [gold]), F1Grader(0.8).check(said, [gold])
    assert (strict.right, near.right) == (False, True)
    assert strict.value == near.value == pytest.approx(6 / 7)
    for more in (
        "not George W. Bush",
        "George Bush",
        "W. Bush George too",
        "George W. Bush 2",
        "George W. Bush, Clinton",
    ):
        assert F1Grader(0.67).check(more, [gold]).right is False, more
    assert F1Grader().check("Paris or London", ["Paris"]).value == 0
    with pytest.raises(InvalidInput, match="threshold"):
        F1Grader(0.3)


QUESTION = "Which one?\n(A) a dog\n(B) a cat\nC. Vitamin C\nD. a dog and a cat"


@pytest.mark.parametrize(
    ("said", "gold", "question", "right"),
    [
        ("B", "B", "", True), ("(b)", "B", "", True), ("B.", "B", "", True), ("**B**", "B", "", True),
        ("B) a cat", "B", "", True), ("B) or C)", "B", "", False), ("A or B", "B", "", False), ("B, C", "B", "", False),
        ("A, B, C, D", "B", QUESTION, False), ("A and C", "A, C", "", True), ("A", "A, C", "", False),
        ("a cat", "B", QUESTION, True), ("B", "a cat", QUESTION, True), ("B. a dog", "B", QUESTION, False),
        ("B. a dog", "A", QUESTION, False), ("C. Vitamin C", "C", QUESTION, True),
        ("a dog and a cat", "D", QUESTION, True),
        ("A dog", "A", "", False), ("Because", "B", "", False), ("none", "B", QUESTION, False), ("I", "I", "", True),
    ],
)  # fmt: skip
def test_choice(said: str, gold: str, question: str, right: bool) -> None:
    assert ChoiceGrader().check(f"Answer: {said}", [gold], question=question).right is right


def test_options_may_be_given() -> None:
    assert ChoiceGrader(["red", "blue"]).check("Blue.", ["B"]).right
    with pytest.raises(InvalidInput, match="26"):
        ChoiceGrader(["x"] * 27)


@pytest.mark.parametrize(
    ("said", "gold", "right"),
    [
        ("Yes.", "yes", True), ("true", "yes", True), ("No, it is closed.", "no", True),
        ("No, wait: yes.", "no", False),
        ("Yes and no", "yes", False), ("yes or no", "yes", False), ("No one knows", "no", False), ("none", "no", False),
        ("yes, no", "yes", False), ("maybe", "yes", False), ("no-one", "no", False), ("False", "True", False),
    ],
)  # fmt: skip
def test_yes_no(said: str, gold: str, right: bool) -> None:
    assert YesNoGrader().check(said, [gold]).right is right
    assert YesNoGrader().check(said, ["perhaps"]).right is None


@pytest.mark.parametrize(
    ("said", "gold", "right"),
    [
        ("So she has 18 eggs left.", "18", True), ("$18", "18", True), ("18 dollars", "$18", True),
        ("€18", "$18", False),
        ("1,234.50", "1234.5", True), ("1.234,5", "1234.5", False), ("1,5", "15", False), ("twenty-one", "21", True),
        ("1.5 million", "1500000", True), ("18k", "18", False), ("5M", "5", False), ("3 hundredths", "3", False),
        ("5 kilometers per hour", "5 km/h", True), ("5 km", "5 km/h", False), ("5 km/h", "5 km", False),
        ("5", "5 km", True), ("5 m", "5 km", False), ("50%", "0.5", True), ("50", "50%", True),
        ("50 percent", "50%", True),
        ("0.5", "50", False), ("738/9", "82", False), ("1/2", "0.5", True), ("1 1/2", "1.5", True),
        ("not 5", "5", False),
        ("a-5", "5", False), ("x - 5", "-5", False), ("-(5)", "5", False), ("5!", "5", False), ("10²", "10", False),
        ("9 * 2 = 18", "18", True), ("about 5", "5", True), ("more than 5", "5", False), ("5 x", "5", False),
        (r"5 \pi", "5", False), (r"1.2 \times 10^{5}", "120000", True), ("1e999", "1", False), ("nan", "5", False),
        ("18 (18)", "18", True), ("three 5", "5", False), ("", "5", False), ("−5", "-5", True),
    ],
)  # fmt: skip
def test_numeric(said: str, gold: str, right: bool) -> None:
    assert NumericGrader().check(f"Answer: {said}", [gold]).right is right


@given(st.fractions(-1000, 1000, max_denominator=1000), st.fractions(-2, 2, max_denominator=1000))
def test_the_tolerance_is_the_border(gold: Fraction, off: Fraction) -> None:
    said, allowed = gold + off, max(Fraction("0.25"), Fraction("0.001") * abs(gold))
    told = quantity(str(said))
    assert told is not None
    grade = NumericGrader(absolute=0.25, relative=0.001).check(f"Answer: {said}", [str(gold)])
    whole_left_undone = told.divided and gold.denominator == 1
    assert grade.right is (abs(off) <= allowed and not whole_left_undone)


def test_numeric_needs_a_number_to_compare_with() -> None:
    assert NumericGrader().check("5", ["many"]).right is None
    with pytest.raises(InvalidInput, match="relative"):
        NumericGrader(relative=1.5)


@pytest.mark.parametrize(
    ("said", "gold", "right"),
    [
        ("(x+1)^2", "x^2+2x+1", True), (r"\frac{-1}{2}", r"-\frac12", True), ("0.5", r"\frac{1}{2}", True),
        (r"\{2, 1\}", "1, 2", True), ("(2,1)", "(1,2)", False), ("(1,2)", "[1,2)", False), ("[1,2)", "[1, 2)", True),
        (r"\sqrt{12}", r"2\sqrt{3}", True), ("x=5", "5", True), ("5", "x = 5", True), ("3 or 5", "5", False),
        ("3, 5", "5", False), (r"\pm 5", "5", False), ("5 km", r"5\text{ cm}", False), (r"5\text{ cm}", "5", True),
        (r"50\%", "50", True), (r"90^\circ", "90", True), (r"1{,}234", "1234", True), (r"5\pi", "5", False),
        (r"\text{East}", "east", True), ("tase", r"\text{east}", False), (r"\text{not }7", "7", False),
    ],
)  # fmt: skip
def test_maths(maths: MathsGrader, said: str, gold: str, right: bool) -> None:
    assert maths.check(boxed(said), [gold]).right is right


@pytest.mark.parametrize(
    ("said", "gold"),
    [("2+2", "4"), (r"\frac{738}{9}", "82"), (r"\sqrt{25}", "5"), ("5!", "120"), (r"\int_0^1 x dx", "1/2"),
     (r"\sum_{i=1}^{4} i", "10"), (r"4 \int_0^1 \sqrt{1-x^2} dx", r"\pi")],
)  # fmt: skip
def test_restating_the_question_is_no_answer(maths: MathsGrader, said: str, gold: str) -> None:
    assert maths.check(boxed(said), [gold]).right is False


@given(st.text(st.sampled_from("0123456789xy+-*/^_{}()[]\\, =!frac"), max_size=30), numbers)
@settings(max_examples=25)
def test_maths_never_raises(maths: MathsGrader, said: str, gold: int) -> None:
    assert maths.check(boxed(said), [str(gold), "2x + y"]).right is not None


@pytest.mark.parametrize("said", ["(" * 19, r"\frac{1}{" * 15 + "1" + "}" * 15, "1000000000!", "1" * 499])
def test_hostile_expressions_are_wrong_and_the_next_one_is_graded(maths: MathsGrader, said: str) -> None:
    assert maths.check(boxed(said), ["y^2"]).right is False
    assert maths.check(boxed("yy"), ["y^2"]).right is True


def test_what_computes_without_end_is_stopped_and_a_reference_is_not_the_answers_fault() -> None:
    process = MathsProcess(seconds=1, memory_mb=1024, wall=100)
    stopped = process.compare(["x"], "(" * 1_000)
    assert (stopped.right, "processor time" in stopped.why) == (False, True)
    assert process.compare(["(" * 1_000], "x").right is None
    process.close()


def test_a_dead_comparing_process_is_no_wrong_answer(maths: MathsGrader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    broken = MathsGrader()
    grade = broken.check(boxed("xx"), ["x^2"])
    assert (grade.right, grade.value) == (None, None)
    assert "did not start" in grade.why
    monkeypatch.undo()
    assert maths.check(boxed("xx"), ["x^2"]).right


def test_maths_works_in_threads_and_in_event_loops(maths: MathsGrader) -> None:
    graded: list[Grade] = []
    threads = [threading.Thread(target=lambda: graded.append(maths.check(boxed("aa"), ["a^2"]))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    async def many() -> list[Grade]:
        return await asyncio.gather(*(maths.grade(boxed("bb"), ["b^2"]) for _ in range(4)))

    assert [grade.right for grade in (*graded, *asyncio.run(many()))] == [True] * 8


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # Python 3.12 warns of forking beside threads
def test_a_forked_process_starts_its_own(maths: MathsGrader) -> None:
    assert maths.check(boxed("cc"), ["c^2"]).right
    child = multiprocessing.get_context("fork").Process(target=_grade_and_exit, args=(maths,))
    child.start()
    child.join()
    assert child.exitcode == 0
    assert maths.check(boxed("kk"), ["k^2"]).right


def _grade_and_exit(maths: MathsGrader) -> None:
    right = maths.check(boxed("cc"), ["c^2"]).right
    maths.close()
    os._exit(0 if right else 1)


def test_graders_by_name() -> None:
    for name in GRADERS:
        made = grader(name, **({"client": "http://127.0.0.1:9/v1"} if name == "llm" else {}))
        assert isinstance(made, Grader)
        assert made.name == name
    with pytest.raises(InvalidInput, match="maths, text, f1, choice, yes_no, numeric, code"):
        grader("exact")
    with pytest.raises(InvalidInput, match=r"'text'.*colour.*no options"):
        grader("text", colour="red")
    with pytest.raises(InvalidInput, match="client"):
        grader("llm")


def test_a_grade_is_one_short_line() -> None:
    grade = Grade.of(True, "a\nb" + "c" * 1000 + "\ud800")
    assert "\n" not in grade.why
    assert len(grade.why) == 300


def test_the_example_of_the_grading_page_prints_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    page = Path(__file__).parents[2] / "docs" / "grading.md"
    (example,) = Document.parse(str(page), PythonCodeBlockParser()).examples()
    example.evaluate()
    assert capsys.readouterr().out.split() == ["True", "False", "False"]
    assert all(f"| `{name}` |" in page.read_text(encoding="utf-8") for name in GRADERS)
