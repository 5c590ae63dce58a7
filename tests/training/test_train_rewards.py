from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError
from reagent_training.data.record import LabelledTrajectory
from reagent_training.train.batches import planned
from reagent_training.train.grpo_config import RewardSettings
from reagent_training.train.judge_reward import JudgeReward
from reagent_training.train.rewards import Parts, beyond, brier, brier_of_mean, ranking, read_reply, total

from reagent_sdk.prompts import judge_prompt
from reagent_sdk.verdict import Verdict

sys.path.insert(0, str(Path(__file__).parent / "helpers"))
from tiny_judge import row

unit = st.floats(0, 1)
SCORED = "<analysis>{}</analysis><critique>{}</critique><score>{}</score>"


def graded(digit: int, critique: str = "Check it.", score: float = 0.5) -> str:
    return SCORED.format(f"\nGrade: {digit}\nI looked.", critique, score)


@given(unit, unit)
def test_the_rule_is_bounded_and_best_at_the_label(score: float, label: float) -> None:
    assert 0 <= brier(score, label) <= brier(label, label) == 1


@given(st.lists(unit, min_size=1, max_size=12), unit)
def test_the_rule_is_proper_no_report_beats_the_mean_of_the_labels(labels: list[float], report: float) -> None:
    mean = sum(labels) / len(labels)

    def expected(score: float) -> float:
        return sum(brier(score, label) for label in labels) / len(labels)

    assert expected(report) <= expected(mean) + 1e-12
    if abs(report - mean) > 1e-3:
        assert expected(report) < expected(mean)


@given(unit, st.lists(unit, max_size=8), unit)
def test_the_rule_of_the_mean_is_bounded(score: float, others: list[float], label: float) -> None:
    assert -1e-12 <= brier_of_mean(score, others, label) <= 2 + 1e-12


def test_without_other_samples_it_is_the_plain_rule() -> None:
    assert brier_of_mean(0.25, [], 1.0) == brier(0.25, 1.0)


@given(st.lists(st.floats(0.01, 1), min_size=10, max_size=10), unit)
def test_its_policy_gradient_is_that_of_the_rule_of_the_mean(mass: list[float], label: float) -> None:
    # Over a digit's logits: grad of E[reward] for G = 2, one sample against the other, summed over all pairs of digits.
    share = [one / sum(mass) for one in mass]
    digits = [digit / 9 for digit in range(10)]
    mean = sum(p * s for p, s in zip(share, digits, strict=True))
    estimated = [
        sum(
            share[a] * share[b] * brier_of_mean(digits[a], [digits[b]], label) * ((a == k) - share[k])
            for a in range(10)
            for b in range(10)
        )
        for k in range(10)
    ]
    exact = [-2 * (mean - label) * share[k] * (digits[k] - mean) for k in range(10)]
    assert estimated == pytest.approx(exact, abs=1e-9)


def test_the_plain_rule_charges_spread_and_the_rule_of_the_mean_does_not() -> None:
    # 50:50 on grades 0 and 9 means 0.5, which is the label: only the second rule sees that it is right.
    plain = (brier(0, 0.5) + brier(1, 0.5)) / 2
    of_mean = (brier_of_mean(0, [0, 1], 0.5) + brier_of_mean(1, [0, 1], 0.5)) / 2
    assert (plain, of_mean) == (0.75, 1.0)


@given(unit, unit, st.floats(0, 1), st.floats(0, 1))
def test_ranking_is_symmetric(a: float, b: float, high: float, low: float) -> None:
    if high == low:
        assert ranking(a, high, [(low, b)]) is None
        return
    mine, theirs = ranking(a, high, [(low, b)]), ranking(b, low, [(high, a)])
    assert mine == theirs  # one comparison, seen from both sides
    turned = ranking(a, low, [(high, b)])
    assert mine is not None
    assert turned == 1 - mine


def test_ranking_is_the_share_that_comes_out_right() -> None:
    assert ranking(0.6, 1.0, [(0.0, 0.2), (0.0, 0.9), (0.0, 0.6), (1.0, 0.1)]) == pytest.approx(0.5)
    assert ranking(0.6, 1.0, []) is None


@given(st.text(max_size=200))
@example("<analysis>a</analysis><critique>c</critique><score>abstain</score>")
@example(SCORED.format("no grade here", "c", 0.5))
@example(SCORED.format("Grade: 12", "c", 0.5))
def test_a_reply_out_of_form_earns_nothing(text: str) -> None:
    reply = read_reply(text, graded=True)
    assert not reply.formed
    weights = RewardSettings().weights
    assert total(Parts(format=0.0, calibration=1.0, leak=1.0), weights) == 0


@given(st.integers(0, 9), unit)
def test_under_a_graded_prompt_the_digit_counts(digit: int, written: float) -> None:
    text = graded(digit, score=round(written, 3))
    assert read_reply(text, graded=True).score == digit / 9
    assert read_reply(text, graded=True, read="written").score == round(written, 3)
    assert read_reply(text, graded=False).score == round(written, 3)


def test_length_is_the_share_beyond_the_limit() -> None:
    assert beyond(Verdict.of(0.5, "c" * 30, analysis="a" * 50), 60) == 0.25
    assert beyond(Verdict.of(0.5, "c" * 30, analysis="a" * 50), 80) == 0


def test_what_cannot_be_measured_has_no_reward() -> None:
    weights = {"calibration": 1.0, "ranking": 0.5, "outcome": 0.0, "leak": 0.5, "length": 0.2}
    assert total(Parts(format=1.0), weights) is None
    assert total(Parts(format=1.0, ranking=1.0, leak=1.0), weights) == 1.0
    assert total(Parts(format=1.0, calibration=0.75, length=0.5), weights) == pytest.approx(1.65)
    asks_outcome = weights | {"outcome": 1.0}
    assert total(Parts(format=1.0, calibration=0.75), asks_outcome) is None
    assert total(Parts(format=1.0, calibration=0.75, outcome=1.0), asks_outcome) == 2.75


def test_a_reward_that_measures_nothing_is_refused() -> None:
    with pytest.raises(ValidationError, match="weight above 0"):
        RewardSettings(calibration=0, ranking=0)


def judged(rows: list[LabelledTrajectory], settings: RewardSettings, **options: Any) -> JudgeReward:
    return JudgeReward(rows, settings, judge_prompt("rrm-2"), gather=list, **options)


RIGHT = row("right", "It is 42.", score=0.9, correct=True)
WRONG = row("wrong", "It is 41.", score=0.1, correct=False)


def test_a_batch_is_rewarded_and_its_parts_are_logged() -> None:
    logged: dict[str, float] = {}
    reward = judged([RIGHT, WRONG], RewardSettings(ranking=0.5, label="correct", calibrate="sample"))
    texts = [graded(9), graded(6), "no verdict", graded(0, critique="The answer is 42.")]
    got = reward(
        [None] * 4,
        [[{"role": "assistant", "content": text}] for text in texts],
        row=["right", "right", "wrong", "wrong"],
        log_metric=logged.__setitem__,
    )
    assert got == pytest.approx([1 + 1 + 0.5, 1 + (1 - 1 / 9) + 0.5, 0, 1 + 1 + 0.5 - 0.5])
    assert logged["parts/format"] == 0.75
    assert logged["parts/leak"] == pytest.approx(1 / 3)
    assert logged["parts/ranking"] == 1.0


def test_ranking_compares_with_the_mean_of_the_other_rows_samples() -> None:
    reward = judged([RIGHT, WRONG], RewardSettings(calibration=0, ranking=1.0))
    texts = [graded(5), graded(3), graded(2), graded(6)]  # the wrong row's mean is 4
    assert reward([None] * 4, texts, row=["right", "right", "wrong", "wrong"]) == [2, 1, 2, 1]


def test_a_row_with_neither_label_nor_company_has_no_reward() -> None:
    alone = row("alone", "It is 42.", group="another", correct=True)
    better = row("better", "It is 42.", group="p", pair="p", preferred=True)
    worse = row("worse", "It is 41.", group="p", pair="p", preferred=False)
    reward = judged([alone, better, worse], RewardSettings(ranking=1.0))
    texts = [graded(5), "no verdict", graded(5), graded(2)]
    assert reward([None] * 4, texts, row=["alone", "alone", "better", "worse"]) == [None, None, 2, 2]
    # Without a readable reply to the other side there is nothing to compare with.
    assert reward([None] * 2, [graded(5), "no verdict"], row=["better", "worse"]) == [None, 0]


def test_rows_on_several_processes_are_compared() -> None:
    other_process = [("wrong", 1.0)]
    reward = JudgeReward(
        [RIGHT, WRONG],
        RewardSettings(calibration=0, ranking=1.0),
        judge_prompt("rrm-2"),
        gather=lambda mine: [*mine, *other_process],
    )
    assert reward([None], [graded(5)], row=["right"]) == [1.0]


@given(st.lists(st.integers(1, 7), min_size=1, max_size=12), st.integers(1, 6), st.integers(1, 30), st.integers(0, 3))
def test_a_plan_has_whole_batches_and_each_row_its_turn(sizes: list[int], size: int, count: int, seed: int) -> None:
    places = iter(range(100))
    units = [[next(places) for _ in range(length)] for length in sizes]
    plan = planned(units, size=size, count=count, seed=seed)
    assert [len(batch) for batch in plan] == [size] * count
    assert plan == planned(units, size=size, count=count, seed=seed)
    assert planned(units, size=size, count=count + 1, seed=seed)[:count] == plan
    if all(length == 1 for length in sizes):
        turns = Counter(place for batch in plan for place in batch)
        seen = [turns[unit[0]] for unit in units]
        assert max(seen) - min(seen) <= 1


def test_a_plan_keeps_units_together() -> None:
    units = [[2 * number, 2 * number + 1] for number in range(10)] + [[20], [21]]
    for batch in planned(units, size=4, count=50, seed=1):
        for place in batch:
            assert place >= 20 or place ^ 1 in batch
