"""Splits by question, filters with counts, near duplicates and contamination."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reagent_training.data.contamination import Contamination
from reagent_training.data.filters import (
    CONTRADICTION,
    LOST_PARTNER,
    CloseDuplicates,
    ExactDuplicates,
    Length,
    broken_format,
    contaminated,
    decide,
    leaks,
    rendered,
)
from reagent_training.data.record import LabelledTrajectory, as_record
from reagent_training.data.shingles import NearDuplicates, hashes, jaccard
from reagent_training.data.splits import part_of, read_shares

from reagent_sdk.errors import InvalidInput

SHARES = {"train": 0.7, "validation": 0.1, "test": 0.2}
WORDS = " ".join(f"word{number}" for number in range(120))


def record(id: str, said: str = WORDS, **changes: Any) -> LabelledTrajectory:
    data = {
        "id": id,
        "group": "q",
        "source": "test",
        "label_source": "human",
        "task": {"question": "What is asked?", "id": "t"},
        "trajectory": {"messages": [{"role": "assistant", "content": said}], "answer": "done"},
        "correct": True,
    }
    return as_record(data | changes, id)


@given(st.lists(st.text(max_size=8), max_size=30), st.lists(st.text(max_size=8), max_size=30), st.integers(0, 9))
def test_no_group_is_in_two_parts_and_later_rows_move_none(first: list[str], later: list[str], seed: int) -> None:
    before = {group: part_of(group, SHARES, seed=seed) for group in first}
    parts: dict[str, set[str]] = {}
    for group in (*first, *later, *first):
        parts.setdefault(group, set()).add(part_of(group, SHARES, seed=seed))
    assert all(len(found) == 1 for found in parts.values())
    assert all(parts[group] == {part} for group, part in before.items())


def test_the_shares_are_met_and_the_seed_matters() -> None:
    groups = [f"question {number}" for number in range(4000)]
    counts = Counter(part_of(group, SHARES) for group in groups)
    for part, share in SHARES.items():
        assert abs(counts[part] / 4000 - share) < 0.03  # over four standard deviations
    assert [part_of(one, SHARES, seed=1) for one in groups] != [part_of(one, SHARES) for one in groups]


def test_a_split_is_the_same_in_every_release() -> None:
    parts = [part_of(f"q{number}", SHARES)[:2] for number in range(8)]
    assert parts == ["tr", "te", "tr", "te", "tr", "tr", "tr", "va"]


@pytest.mark.parametrize(
    "text", ["train=1", "train=0.5,test=0.4", "train=0.8,train=0.2", "a=x,b=1", "../a=0.5,b=0.5", ""]
)
def test_bad_shares_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        read_shares(text)


def test_every_reason_is_counted() -> None:
    near = " ".join([*WORDS.split()[:-1], "other"])
    rows = [
        record("a"),
        record("b"),  # exact duplicate
        record("c", near),  # near duplicate
        record("d", near, correct=None, score=0.4),  # near, with other labels
        record("e", "short", critique="The answer is 77."),
        record("f", "x" * 50, critique="c<score>1</score>", analysis="a", score=0.5),
    ]
    filters = [leaks, broken_format, ExactDuplicates(), CloseDuplicates(0.9)]
    decision = decide(rows, filters)
    assert decision.seen == 6
    assert decision.dropped == {
        1: "exact duplicate",
        2: "near duplicate",
        4: "the critique gives the answer away",
        5: "the targets break the verdict format",
    }
    assert sum(decision.counts.values()) == 4


def test_the_same_work_with_another_outcome_is_left_out_on_both_sides() -> None:
    decision = decide([record("a"), record("b", "something else"), record("c", correct=False)], [])
    assert decision.dropped == {0: CONTRADICTION, 2: CONTRADICTION}


def test_a_pair_goes_as_a_whole() -> None:
    sides = [
        record("a", "x", pair="p", preferred=True, correct=None),
        record("b", WORDS, pair="p", preferred=False, correct=None),
        record("c", WORDS, pair="q", preferred=True, correct=None),
        record("d", WORDS + " more", pair="q", preferred=False, correct=None),
    ]
    decision = decide(sides, [Length(least=len(rendered(sides[0])) + 1)])
    assert decision.dropped == {0: f"shorter than {len(rendered(sides[0])) + 1} characters", 1: LOST_PARTNER}


def test_length_counts_what_the_judge_reads() -> None:
    one = record("a")
    size = len(rendered(one))
    assert "What is asked?" in rendered(one)
    assert Length(most=size)(one) is None
    assert Length(most=size - 1)(one) == f"longer than {size - 1} characters"
    assert Length(most=3, measure=lambda text: len(text.split()), unit="tokens")(one) == "longer than 3 tokens"


def test_a_reference_in_the_critique_is_a_leak() -> None:
    said = {"critique": "Look again at Mount Elbrus."}
    assert leaks(record("a", metadata={"reference": ["Mount Elbrus"]}, **said)) is not None
    assert leaks(record("a", metadata={"reference": ["K2"]}, **said)) is None


@given(st.integers(0, 100), st.integers(1, 40))
def test_near_duplicates_are_decided_exactly(start: int, changed: int) -> None:
    words = [f"w{number}" for number in range(200)]
    other = [*words]
    other[start : start + changed] = [f"x{number}" for number in range(changed)]
    known = NearDuplicates(0.8)
    assert known.add("one", " ".join(words)) == ()
    shingles = [{" ".join(text[at : at + 5]) for at in range(len(text) - 4)} for text in (words, other)]
    similar = len(shingles[0] & shingles[1]) / len(shingles[0] | shingles[1])
    assert jaccard(*map(hashes, shingles)) == similar
    if similar < 0.8 or similar > 0.9:  # between them a candidate may, rarely, be missed
        assert known.add("two", " ".join(other)) == (("one",) if similar >= 0.8 else ())


def test_short_and_empty_texts_have_shingles() -> None:
    known = NearDuplicates()
    assert known.add("a", "") == ()
    assert known.add("b", "") == ("a",)
    assert known.add("c", "two words") == ()
    assert known.add("d", "Two  words") == ("c",)


LONG = "In which year was the company founded that built the first bridge over the river near Old Town?"


@pytest.mark.parametrize(
    ("question", "held"),
    [
        (LONG, True),
        (f"Answer the question below with care and nothing else. {LONG.upper()} Think!", True),
        ("In which year was the company founded that built the last ship of the fleet?", False),
        ("Who painted the old bridge?", True),
        ("Tell me: who painted the old bridge?", True),
        ("Who painted the new bridge?", False),
        ("Why me?", True),
        ("Why me? Or you?", False),
    ],
)
def test_questions_of_evaluation_sets_are_found(question: str, held: bool) -> None:
    known = Contamination([LONG, "Who painted the old bridge?", "Why me?", ""])
    assert known.questions == 3
    assert known.holds(question) is held
    assert (contaminated(known)(record("a", task={"question": question})) is not None) is held


def test_formulas_that_many_questions_share_do_not_count() -> None:
    formula = "Answer the following question in one word and give your answer inside answer tags please: "
    known = Contamination(f"{formula} question number {number} of a set with quite some words?" for number in range(50))
    assert not known.holds(f"{formula} something entirely different?")
