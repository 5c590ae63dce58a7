from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reagent_training.synth.grading import number, right, stated
from reagent_training.synth.record import GradingRule

EXACT = GradingRule(kind="number")
ROUNDED = GradingRule(kind="number", tolerance=0.0051)
TEXT = GradingRule(kind="text")
numbers = st.integers(-(10**9), 10**9)
fractions = st.fractions(-10_000, 10_000, max_denominator=999)
letters = st.characters(categories=("Lu", "Ll")).filter(lambda c: c.upper().casefold() == c.casefold())
words = st.text(letters, min_size=1, max_size=12).filter(lambda w: w.casefold() not in {"answer", "the", "a", "an"})


@given(numbers)
def test_a_number_is_right_in_all_its_spellings(value: int) -> None:
    for said in (f"{value}", f"{value:,}", f"{value}.0", f"**{value}**", f"So it is.\nAnswer: {value:,} crowns."):
        assert right(said, str(value), EXACT), said


@given(numbers, numbers)
def test_another_number_is_wrong(value: int, other: int) -> None:
    assert right(f"Answer: {other}", str(value), EXACT) == (value == other)


@given(fractions)
def test_a_fraction_is_read_exactly(value: Fraction) -> None:
    assert number(str(value)) == value
    assert right(f"Answer: {value} hours", str(value), EXACT)
    assert not right(f"Answer: {value + Fraction(1, 1000)}", str(value), EXACT)


@given(fractions, st.floats(-1, 1))
def test_the_tolerance_is_the_border(value: Fraction, off: float) -> None:
    said = value + Fraction(off).limit_denominator(10**6)
    assert right(f"Answer: {said}", str(value), ROUNDED) == (abs(said - value) <= Fraction(0.0051))


@given(numbers, numbers)
def test_naming_two_numbers_earns_nothing(value: int, other: int) -> None:
    assert right(f"Answer: {value} or {other}", str(value), EXACT) == (value == other)


@given(st.lists(words, min_size=1, max_size=4))
def test_a_text_is_right_whatever_its_case_and_marks(parts: list[str]) -> None:
    name = " ".join(parts)
    for said in (name, name.upper(), f" “{name}”. ", f"I looked it up.\nAnswer: the {name}!"):
        assert right(said, name, TEXT), said
    assert not right(f"Answer: {name} or {name}", name, TEXT)
    assert not right(f"not {name}", name, TEXT)


@pytest.mark.parametrize(
    ("said", "wanted", "rule", "is_right"),
    [
        ("Answer: 12\nAnswer: 13", "13", EXACT, True),  # the last one counts
        ("Answer: 13\nAnswer: 12", "13", EXACT, False),
        ("The answer is: 13", "13", EXACT, True),
        ("Step 3 of 4 done.\n13 km", "13", EXACT, True),  # without a mark the last line counts
        ("It has 4 wheels and 13 seats", "13", EXACT, False),
        ("Answer: 1 1/2 hours", "3/2", EXACT, True),
        ("Answer: 0.5", "1/2", EXACT, True),
        ("Answer: -5", "5", EXACT, False),
        ("Answer: \u22125", "-5", EXACT, True),
        ("Answer: 3/0", "0", EXACT, False),
        ("Answer: 1,5", "15", EXACT, False),
        ("Answer: 1,500", "1500", EXACT, True),
        ("Answer: 1e3", "1000", EXACT, True),
        ("Answer: 12.3.4", "12.3", EXACT, False),
        ("Answer:", "0", EXACT, False),
        ("", "0", EXACT, False),
        ("", "x", TEXT, False),
        ("Answer: not Belford", "Belford", TEXT, False),
        ("Answer: untrue", "true", TEXT, False),
        ("Answer: no", "no", TEXT, True),
        ("Answer: not known", "no", TEXT, False),
        ("Answer: B-12", "b 12", TEXT, True),
        ("Answer: the Belle", "Belle", GradingRule(kind="text", aliases=("La Belle",)), True),
        ("Answer: la belle", "Belle", GradingRule(kind="text", aliases=("La Belle",)), True),
    ],
)
def test_cases(said: str, wanted: str, rule: GradingRule, is_right: bool) -> None:
    assert right(said, wanted, rule) is is_right


@given(st.text(max_size=300))
def test_any_text_can_be_graded(text: str) -> None:
    assert "\n" not in stated(text)
    right(text, "1", EXACT)
    right(text, "one", TEXT)


def test_a_long_text_takes_no_time() -> None:
    assert not right("Answer: " + "1," * 200_000, "1", EXACT)
    assert not right("answer is" * 100_000, "1", TEXT)
