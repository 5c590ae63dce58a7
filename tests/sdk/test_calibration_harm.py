from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from reagent_sdk.calibration import arms
from reagent_sdk.calibration.arms import cross_fitted, decisions, evaluate
from reagent_sdk.calibration.card import RevisionRule
from reagent_sdk.calibration.certify import certify
from reagent_sdk.calibration.grid import GRID
from reagent_sdk.calibration.harm import fit_revision, revised_cells, revision_budget
from reagent_sdk.errors import InvalidInput

FIXED, BROKEN, RIGHT, WRONG = (False, True), (True, False), (True, True), (False, False)
coarse = st.integers(0, 20).map(lambda step: step / 20)
outcomes = st.sampled_from([FIXED, FIXED, BROKEN, RIGHT, WRONG])
paired = st.lists(st.tuples(coarse, outcomes), min_size=1, max_size=200)


def columns(rows: list[tuple[float, tuple[bool, bool]]]) -> tuple[list[float], list[bool], list[bool]]:
    return [score for score, _ in rows], [pair[0] for _, pair in rows], [pair[1] for _, pair in rows]


def pairs(**counts: int) -> tuple[list[bool], list[bool]]:
    kinds = {"fixed": FIXED, "broken": BROKEN, "right": RIGHT, "wrong": WRONG}
    rows = [kinds[name] for name, count in counts.items() for _ in range(count)]
    return [first for first, _ in rows], [revised for _, revised in rows]


def by_hand(rows: list[tuple[float, tuple[bool, bool]]], confidence: float) -> int:
    """The largest certified gain, candidate after candidate, with scipy's own sign test; 0 where none is certified."""
    falling = sorted((t for t in GRID if t), reverse=True)
    half = (1 - confidence) / 2
    handed_on, best = 0.0, 0
    for below, share in [(math.inf, half), *((t, half / len(falling)) for t in falling)]:
        changed = [pair for score, pair in rows if score < below and pair[0] != pair[1]]
        fixed = changed.count(FIXED)
        level = share + handed_on
        passed = bool(changed) and binomtest(fixed, len(changed), 0.5, alternative="greater").pvalue <= level
        handed_on = level if passed else 0.0
        best = max(best, 2 * fixed - len(changed)) if passed else best
    return best


@settings(max_examples=40, deadline=None)
@given(paired, st.sampled_from([0.5, 0.8, 0.95]))
def test_the_rule_has_the_largest_certified_gain(
    rows: list[tuple[float, tuple[bool, bool]]], confidence: float
) -> None:
    rule = fit_revision(*columns(rows), confidence=confidence)
    assert rule.fixed - rule.broken == by_hand(rows, confidence)
    scores, first, revised = map(np.array, columns(rows))
    arm = evaluate(decisions(rule, scores), first, revised)
    assert (rule.revised, rule.fixed, rule.broken) == (arm.revised, arm.fixed, arm.broken)
    assert (rule.below == 0.0) == (rule.revised == 0) == bool(rule.reason)
    assert rule.pairs == len(rows)


@settings(max_examples=40, deadline=None)
@given(paired, st.data())
def test_one_more_broken_pair_never_raises_the_gain(
    rows: list[tuple[float, tuple[bool, bool]]], data: st.DataObject
) -> None:
    before = fit_revision(*columns(rows))
    spoiled = data.draw(st.integers(0, len(rows) - 1))
    rows[spoiled] = (rows[spoiled][0], BROKEN)
    after = fit_revision(*columns(rows))
    assert after.fixed - after.broken <= before.fixed - before.broken


def test_a_weak_agent_is_always_revised_and_a_strong_one_never() -> None:
    weak = pairs(fixed=22, broken=4, right=3, wrong=19)  # the published counts on GSM8K and on HotpotQA
    strong = pairs(fixed=3, broken=6, right=14, wrong=20)
    rule = fit_revision([0.7] * 48, *weak)
    assert (rule.below, rule.fixed, rule.broken, rule.reason) == (None, 22, 4, "")
    rule = fit_revision([0.7] * 43, *strong)
    assert (rule.below, rule.revised, rule.pairs_needed) == (0.0, 0, None)
    assert "fixed 3 and broke 6 of 43" in rule.reason
    assert "more pairs" in rule.reason


def test_only_the_work_that_a_good_judge_doubts_is_revised() -> None:
    first, revised = pairs(fixed=20, wrong=20, broken=20, right=60)
    scores = [0.2] * 40 + [0.9] * 80
    rule = fit_revision(scores, first, revised)
    assert rule.below is not None
    assert 0.2 < rule.below <= 0.9
    assert (rule.revised, rule.fixed, rule.broken) == (40, 20, 0)


def test_the_pairs_asked_for_are_about_enough() -> None:
    first, revised = map(np.array, pairs(fixed=8, broken=3, right=20, wrong=9))
    scores = np.tile([0.4, 0.4, 0.8, 0.8], 10)
    rule = fit_revision(scores, first, revised)
    assert rule.pairs_needed is not None
    assert f"about {rule.pairs_needed} pairs would do" in rule.reason
    draws = np.random.default_rng(3).integers(40, size=(200, rule.pairs_needed))
    found = [fit_revision(scores[draw], first[draw], revised[draw]).below != 0.0 for draw in draws]
    assert 0.65 <= np.mean(found) <= 0.97


def test_rules_of_no_worth_seldom_pass() -> None:
    """Fixed and broken are equally likely at every score, the boundary case: 5% may pass, plus chance."""
    covers, budget = revised_cells(20), revision_budget(20, 0.95)
    cells = np.random.default_rng(0).multinomial(80, np.full(42, 1 / 42), size=2000).reshape(2000, 21, 2)
    broken, fixed = cells[..., 0] @ covers.T, cells[..., 1] @ covers.T
    passed = int(certify(broken, broken + fixed, limit=0.5, budget=budget).passed.any(axis=1).sum())
    assert passed > 0
    assert binomtest(passed, 2000).proportion_ci(method="exact").low <= 0.05


def test_pairs_of_one_task_count_once() -> None:
    first, revised = pairs(fixed=30)
    rule = fit_revision([0.5] * 30, first, revised, groups=[n // 10 for n in range(30)])
    assert (rule.below, rule.pairs) == (0.0, 3)
    assert fit_revision([0.5] * 30, first, revised, groups=list(range(30))).pairs == 30


def test_work_without_a_score_keeps_its_first_attempt() -> None:
    first, revised = pairs(fixed=30)
    rule = fit_revision([0.5] * 30, first, revised)
    assert rule.below is None
    assert decisions(rule, np.array([0.5, math.nan, 1.0])).tolist() == [True, False, True]


def test_an_arm_counts_what_was_taken() -> None:
    first, revised = map(np.array, pairs(fixed=6, broken=2, right=5, wrong=7))
    arm = evaluate(np.ones(20, bool), first, revised)
    assert (arm.pairs, arm.revised, arm.fixed, arm.broken, arm.net) == (20, 20, 6, 2, 4)
    assert (arm.accuracy.value, arm.gain.value) == (pytest.approx(11 / 20), pytest.approx(4 / 20))
    assert arm.p_value == pytest.approx(2 * sum(math.comb(8, k) for k in range(3)) / 2**8)
    assert arm.gain.low is not None
    assert arm.gain.high is not None
    assert arm.gain.low < 0.2 < arm.gain.high
    never = evaluate(np.zeros(20, bool), first, revised)
    assert (never.net, never.gain.low, never.gain.high, never.p_value) == (0, 0.0, 0.0, 1.0)


def test_pairs_of_one_task_are_resampled_together() -> None:
    first, revised = np.array([False, False, True, True] * 5), np.array([True, True, True, True] * 5)
    alone = evaluate(np.ones(20, bool), first, revised)
    together = evaluate(np.ones(20, bool), first, revised, groups=[n // 2 for n in range(20)])
    assert together.gain.low < alone.gain.low  # type: ignore[operator]


def test_no_pair_is_decided_by_a_rule_that_saw_its_task(monkeypatch: pytest.MonkeyPatch) -> None:
    groups = [n // 4 for n in range(80)]
    scores = np.array(groups) / 20  # the score tells the task
    first, revised = map(np.array, pairs(fixed=60, right=20))
    seen: list[set[float]] = []
    decided: list[float] = []

    def fit(given: Any, *labels: Any, **options: Any) -> RevisionRule:
        seen.append(set(given))
        return fit_revision(given, *labels, **options)

    def decide(rule: RevisionRule, held_out: Any) -> Any:
        assert not seen[-1] & set(held_out)
        decided.extend(held_out)
        return decisions(rule, held_out)

    monkeypatch.setattr(arms, "fit_revision", fit)
    monkeypatch.setattr(arms, "decisions", decide)
    taken = cross_fitted(scores, first, revised, groups)
    assert sorted(decided) == sorted(scores)
    assert taken[:60].mean() > 0.5


def test_a_fold_without_scores_never_revises() -> None:
    first, revised = map(np.array, pairs(fixed=20))
    assert not cross_fitted(np.full(20, np.nan), first, revised, list(range(20))).any()


@pytest.mark.parametrize(
    ("scores", "first", "revised", "said"),
    [
        ([], [], [], "no scored work"),
        ([0.5], [True], [True, False], "one length"),
        ([math.nan], [True], [True], "a score is a number in"),
        ([0.5], [True], [3], "a label is"),
    ],
)
def test_unfit_input_is_refused(scores: Any, first: Any, revised: Any, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        fit_revision(scores, first, revised)


def test_a_grid_of_nothing_but_zero_leaves_always_and_never() -> None:
    first, revised = pairs(fixed=10)
    rule = fit_revision([0.1] * 10, first, revised, grid=[0.0])
    assert isinstance(rule, RevisionRule)
    assert rule.below is None
