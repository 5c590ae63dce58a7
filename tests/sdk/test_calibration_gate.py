from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from reagent_sdk.calibration.card import Gate
from reagent_sdk.calibration.certify import certify, upper_bound
from reagent_sdk.calibration.gate import Refusal, even_budget, fit_gate
from reagent_sdk.calibration.grid import GRID
from reagent_sdk.errors import InvalidInput

TARGET = 0.1

coarse = st.integers(0, 20).map(lambda step: step / 20)
work = st.lists(st.tuples(st.booleans(), coarse), min_size=1, max_size=300)


def columns(rows: list[tuple[bool, float]]) -> tuple[list[bool], list[float]]:
    return [right for right, _ in rows], [score for _, score in rows]


def by_hand(labels: list[bool], scores: list[float], target: float, confidence: float) -> float | None:
    """The definition, one threshold after the other, with scipy's own intervals."""
    share = (1 - confidence) / len(GRID)
    level, found = share, None
    for threshold in sorted(GRID, reverse=True):
        accepted = [right for right, score in zip(labels, scores, strict=True) if score >= threshold]
        wrong = accepted.count(False)
        passed = bool(accepted) and (
            binomtest(wrong, len(accepted), alternative="less").proportion_ci(1 - level, method="exact").high <= target
        )
        found = threshold if passed else found
        level = share + (level if passed else 0.0)
    return found


@settings(max_examples=40, deadline=None)
@given(work, st.sampled_from([0.05, 0.2, 0.4]), st.sampled_from([0.5, 0.9, 0.95]))
def test_the_threshold_is_the_one_of_the_definition(
    rows: list[tuple[bool, float]], target: float, confidence: float
) -> None:
    labels, scores = columns(rows)
    fitted = fit_gate(labels, scores, target=target, confidence=confidence)
    assert (fitted.threshold if isinstance(fitted, Gate) else None) == by_hand(labels, scores, target, confidence)


@given(st.integers(0, 60), st.integers(1, 60), st.floats(0.001, 0.5))
def test_the_bound_is_the_clopper_pearson_bound(bad: int, counted: int, level: float) -> None:
    bad = min(bad, counted)
    expected = binomtest(bad, counted, alternative="less").proportion_ci(1 - level, method="exact").high
    assert upper_bound(bad, counted, level) == pytest.approx(expected, abs=1e-12)


def test_a_gate_says_what_it_saw_and_what_it_promises() -> None:
    scores = [0.9] * 200 + [0.2] * 100
    labels = [True] * 195 + [False] * 5 + [True] * 40 + [False] * 60
    gate = fit_gate(labels, scores, target=TARGET)
    assert isinstance(gate, Gate)
    assert (gate.threshold, gate.accepted, gate.wrong) == (0.25, 200, 5)  # the lowest threshold above 0.2
    # Thresholds 1.0 and 0.95 accept nothing and pass nothing on; from 0.90 down each adds its share to the last one's.
    level = 14 * 0.05 / 21
    assert gate.bound == pytest.approx(binomtest(5, 200, alternative="less").proportion_ci(1 - level, "exact").high)
    assert gate.bound <= gate.target == TARGET
    assert gate.confidence == 0.95


@settings(max_examples=40, deadline=None)
@given(work, st.sampled_from([0.1, 0.2]), st.data())
def test_a_looser_promise_never_gives_a_stricter_gate(
    rows: list[tuple[bool, float]], target: float, data: st.DataObject
) -> None:
    labels, scores = columns(rows)
    strict = fit_gate(labels, scores, target=target, confidence=0.95)
    looser = data.draw(st.sampled_from([{"target": 2 * target}, {"confidence": 0.8}]))
    loose = fit_gate(labels, scores, **{"target": target, "confidence": 0.95, **looser})
    if isinstance(strict, Gate):
        assert isinstance(loose, Gate)
        assert loose.threshold <= strict.threshold


@settings(max_examples=40, deadline=None)
@given(work, st.data())
def test_more_wrong_work_never_loosens_the_gate(rows: list[tuple[bool, float]], data: st.DataObject) -> None:
    labels, scores = columns(rows)
    before = fit_gate(labels, scores, target=0.3)
    labels[data.draw(st.integers(0, len(labels) - 1))] = False
    after = fit_gate(labels, scores, target=0.3)
    if isinstance(after, Gate):
        assert isinstance(before, Gate)
        assert before.threshold <= after.threshold


@given(st.permutations(range(60)))
def test_the_order_of_the_work_does_not_matter(order: list[int]) -> None:
    scores = [number % 20 / 20 for number in range(60)]
    labels = [number % 7 != 0 for number in range(60)]
    assert fit_gate(labels, scores, target=0.35) == fit_gate(
        [labels[n] for n in order], [scores[n] for n in order], target=0.35
    )


def test_all_right_work_opens_the_gate_wide_and_one_score_is_enough() -> None:
    gate = fit_gate([True] * 60, [0.9] * 60, target=TARGET)
    assert isinstance(gate, Gate)
    assert gate.threshold == 0.0


def test_levels_are_handed_on_only_by_rules_that_pass() -> None:
    bad, counted = np.array([0, 50, 0, 0]), np.array([100, 100, 100, 0])
    levels, passed = certify(bad, counted, limit=TARGET, budget=np.array([0.01, 0.02, 0.03, 0.04]))
    assert levels.tolist() == pytest.approx([0.01, 0.03, 0.03, 0.07])
    assert passed.tolist() == [True, False, True, False]  # what covers nothing proves nothing


def test_the_grid_can_be_given_and_a_short_one_needs_less() -> None:
    labels, scores = [True] * 35, [0.8] * 35
    assert isinstance(fit_gate(labels, scores, target=TARGET), Refusal)
    gate = fit_gate(labels, scores, target=TARGET, grid=[0.8])
    assert isinstance(gate, Gate)
    assert (gate.threshold, gate.bound) == (0.8, pytest.approx(1 - 0.05 ** (1 / 35)))


@pytest.mark.parametrize(
    ("labels", "scores", "said"),
    [
        ([False] * 50, [0.9] * 50, "all 50 labels say wrong"),
        ([True, False] * 100, [0.9] * 200, "more labels of this judge would not help"),
        ([True] * 18 + [False] * 2, [0.9] * 20, "more labels of this judge would not help"),  # exactly the target
        ([True] * 9001 + [False] * 1000, [0.9] * 10_001, "millions of labels could not tell"),
    ],
)
def test_where_labels_do_not_help_none_are_asked_for(labels: list[bool], scores: list[float], said: str) -> None:
    refusal = fit_gate(labels, scores, target=TARGET)
    assert isinstance(refusal, Refusal)
    assert refusal.labels_needed is None
    assert said in refusal.reason


@pytest.mark.parametrize(
    ("high", "low", "target"),
    [((50, 1), (20, 20), 0.1), ((12, 0), (4, 4), 0.1), ((27, 3), (14, 6), 0.2), ((57, 3), (32, 8), 0.1)],
)
def test_the_labels_asked_for_are_about_enough(high: tuple[int, int], low: tuple[int, int], target: float) -> None:
    """Counts of right and wrong work that scores 0.85 and 0.3; draws from them are the future as it was seen."""
    labels = np.repeat([True, False, True, False], [*high, *low])
    scores = np.repeat([0.85, 0.3], [sum(high), sum(low)])
    refusal = fit_gate(labels, scores, target=target)
    assert isinstance(refusal, Refusal)
    assert refusal.labels_needed is not None
    assert refusal.labels_needed > len(labels)
    assert f"about {refusal.labels_needed} would do" in refusal.reason
    random = np.random.default_rng(7)
    draws = random.integers(len(labels), size=(300, refusal.labels_needed))
    # A refusal computes its number, which takes long, so the chance is looked up in what a refusal is made of.
    accepted = (scores[draws] >= np.array(sorted(GRID, reverse=True))[:, None, None]).astype(np.int64)
    wrong = (accepted * ~labels[draws]).sum(axis=-1).T
    passed = certify(wrong, accepted.sum(axis=-1).T, limit=target, budget=even_budget(21, 0.95)).passed.any(axis=1)
    for found, draw in zip(passed[:5], draws[:5], strict=True):
        assert isinstance(fit_gate(labels[draw], scores[draw], target=target), Gate) == found
    assert 0.65 <= passed.mean() <= 0.97


def test_attempts_at_one_question_count_once() -> None:
    labels, scores, questions = [True] * 200, [0.9] * 200, [n // 5 for n in range(200)]
    assert isinstance(fit_gate(labels, scores, target=TARGET), Gate)
    refusal = fit_gate(labels, scores, target=TARGET, groups=questions)
    assert isinstance(refusal, Refusal)
    assert refusal.reason.count("40 labels are too few") == 1
    labels = [n % 5 == 0 for n in range(200)]  # one attempt of five is right: which one counts is left to chance
    gate = fit_gate(labels, scores, target=0.95, groups=questions)
    assert isinstance(gate, Gate)
    assert 25 <= gate.wrong <= 39
    assert gate == fit_gate(labels, scores, target=0.95, groups=[f"question {n}" for n in questions])
    with pytest.raises(InvalidInput, match="one group a row"):
        fit_gate(labels, scores, target=TARGET, groups=[1])


def test_the_chance_of_a_mistake_is_shared_out_in_full() -> None:
    assert math.isclose(even_budget(21, 0.95).sum(), 0.05)


@pytest.mark.parametrize(
    ("labels", "scores", "options", "said"),
    [
        ([], [], {}, "no scored work"),
        ([True], [0.5, 0.6], {}, "one length"),
        ([True], [math.nan], {}, "a score is a number in"),
        ([True], [math.inf], {}, "a score is a number in"),
        ([True], [None], {}, "a score is a number in"),
        ([True], [1.5], {}, "a score is a number in"),
        ([2], [0.5], {}, "a label is"),
        ([True], [0.5], {"target": 0.0}, "the target lies between"),
        ([True], [0.5], {"target": 10}, "write 0.1 for 10%"),
        ([True], [0.5], {"target": math.nan}, "the target lies between"),
        ([True], [0.5], {"confidence": 1.0}, "the confidence lies between"),
        ([True], [0.5], {"grid": []}, "a grid is"),
        ([True], [0.5], {"grid": [0.5, 0.5]}, "a grid is"),
        ([True], [0.5], {"grid": [0.5, 1.5]}, "a grid is"),
        ([True], [0.5], {"grid": [math.nan]}, "a grid is"),
        ([True], [0.5], {"grid": [[0.5]]}, "a grid is"),
    ],
)
def test_unfit_input_is_refused_in_one_line(labels: Any, scores: Any, options: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said) as error:
        fit_gate(labels, scores, **{"target": TARGET, **options})
    assert "\n" not in str(error.value)
