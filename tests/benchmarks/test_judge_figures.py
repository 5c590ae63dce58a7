"""What is measured: exact values on small cases, and failures that cannot make a judge look good."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reagent_benchmarks.judging import figures
from reagent_benchmarks.judging.figures import always_good, comparisons, measure
from reagent_benchmarks.judging.items import JudgedItem
from reagent_benchmarks.judging.lines import FAILURES, baseline_lines, judge_lines
from reagent_benchmarks.judging.sample import fingerprint, sampled

from reagent_sdk import Task, Trajectory

NAN = float("nan")


@pytest.fixture(autouse=True, scope="module")
def few_resamples() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "RESAMPLES", 50)
        yield


def item(name: str, *, label: bool, group: str = "q", pair: str | None = None, **more: dict[int, int]) -> JudgedItem:
    answer = f"{'good' if label else 'bad'} {name}"
    return JudgedItem(name, group, "part", Task.of(f"about {group}"), Trajectory(answer=answer), label, pair, **more)


def pairs(count: int) -> list[JudgedItem]:
    return [
        item(f"{number}{side}", label=side == "c", group=f"q{number}", pair=f"p{number}")
        for number in range(count)
        for side in "rc"
    ]


def test_pairwise_accuracy_counts_ties_half_and_tells_them_apart() -> None:
    scores = np.array([0.1, 0.9, 0.9, 0.1, 0.5, 0.5, NAN, 1.0, 0.2, 0.3])  # rejected, chosen, rejected, chosen, ...
    found = measure(pairs(5), scores)
    assert found["pairwise"].value == pytest.approx((1 + 0 + 0.5 + 1) / 4)  # the pair without a score is left out
    assert found["ties"].value == pytest.approx(1 / 4)
    assert "ece" not in found  # a preferred side need not be right


def test_right_and_wrong_work_on_one_question_is_compared_and_no_other() -> None:
    items = [
        item("a", label=True, group="q1"),
        item("b", label=False, group="q1"),
        item("c", label=True, group="q1"),
        item("d", label=False, group="q2"),
    ]
    assert {(items[one.better].id, items[one.worse].id) for one in comparisons(items)} == {("a", "b"), ("c", "b")}
    found = measure(items, np.array([0.8, 0.5, 0.4, 0.0]))
    assert found["pairwise"].value == pytest.approx(0.5)
    assert found["auroc"].value == pytest.approx(0.75)  # over all questions: 3 of the 4 comparisons


def test_one_question_gives_figures_without_intervals() -> None:
    found = measure([item("a", label=True), item("b", label=False)], np.array([0.8, 0.5]))
    assert (found["auroc"].value, found["auroc"].low) == (1.0, None)
    two = [item(f"{g}{label}", label=label, group=g) for g in ("q1", "q2", "q3") for label in (True, False)]
    assert measure(two, np.array([0.8, 0.5] * 3))["auroc"].low is not None


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.none() | st.floats(0, 1)), min_size=4, max_size=12))
def test_failing_on_items_never_helps_in_the_worst_case(given_rows: list[tuple[bool, float | None]]) -> None:
    items = [item(str(index), label=label, group=str(index % 3)) for index, (label, _) in enumerate(given_rows)]
    scores = np.array([NAN if score is None else score for _, score in given_rows])
    lines = judge_lines(items, scores, seed=0)
    assert (set(FAILURES) <= set(lines)) == bool(np.isnan(scores).any())
    if FAILURES[1] not in lines:
        return
    worst, whole = lines[FAILURES[1]].figures["accuracy"].value, lines["judge"].figures["accuracy"].value
    assert worst is not None
    assert whole is None or worst <= whole + 1e-12
    middle, low = lines[FAILURES[0]].figures["auroc"].value, lines[FAILURES[1]].figures["auroc"].value
    assert middle is None or low is None or low <= middle + 1e-12


def test_baselines_learn_from_other_questions_only_and_a_constant_ranks_nothing() -> None:
    items = [item(f"{q}{label}", label=label, group=f"q{q}") for q in range(10) for label in (True, False)]
    lines, words = baseline_lines(items, items[:10], room=1_000, seed=0)
    assert lines["bag of words"].figures["auroc"].value == 1.0  # "good" and "bad" are in the text
    assert set(words) == {one.id for one in items[:10]}
    constant = lines["constant"].figures
    assert (constant["auroc"].value, constant["pairwise"].value, constant["ties"].value) == (0.5, 0.5, 1.0)
    told_by_group = [item(str(q), label=q % 2 == 0, group=f"{'even' if q % 2 == 0 else 'odd'}{q}") for q in range(10)]
    assert baseline_lines(told_by_group[:1], told_by_group[:1], room=1_000, seed=0) == ({}, {})


def test_a_constant_of_steps() -> None:
    items = [
        item("a", label=True, steps={0: 1, 2: 1}),
        item("b", label=False, group="r", steps={0: 1, 2: -1, 4: 0}),
        item("c", label=False, group="s"),
    ]
    found = always_good(items)
    assert (found["step_accuracy"].value, found["first_error"].value) == (pytest.approx(3 / 5), 0.5)
    assert always_good(items[2:]) == {}


def test_a_sample_takes_whole_questions_and_pairs_in_random_order() -> None:
    items = pairs(30)
    some = sampled(items, 10, seed=1)
    assert len(some) == 20
    assert len({one.pair for one in some}) == 10
    assert some == sampled(items, 10, seed=1)
    assert {one.id for one in some} != {one.id for one in sampled(items, 10, seed=2)}
    everything = sampled(items, None, seed=1)
    assert sorted(one.id for one in everything) == sorted(one.id for one in items)
    sides = [one.label for one in everything]
    assert sides != sorted(sides)
    assert sides != [one.label for one in items]
    assert fingerprint(some) != fingerprint(everything)
