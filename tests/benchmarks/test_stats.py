"""What rows say: held to brute force, to textbook formulas, and to rows that must not count."""

from __future__ import annotations

import random
from io import StringIO
from itertools import combinations
from math import comb, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from reagent_benchmarks.outcomes import ArmResult, Outcome
from reagent_benchmarks.stats.comparison import Comparison, compare, detectable, mcnemar
from reagent_benchmarks.stats.figures import cost, points, probability, share
from reagent_benchmarks.stats.intervals import mean_over, standard_error
from reagent_benchmarks.stats.passk import pass_at, pass_at_k
from reagent_benchmarks.stats.rows import Change, checked, pairs
from reagent_benchmarks.stats.summary import ArmSummary, Summary, summarise
from reagent_benchmarks.stats.table import print_summary
from rich.console import Console
from scipy.stats import beta, chi2

from reagent_sdk import InvalidInput
from reagent_sdk.calibration.arms import evaluate
from reagent_sdk.calibration.card import Estimate
from reagent_sdk.calibration.metrics import bootstrap

from .arm_rows import row, study

LETTERS = "abcdefghij"


def only(results: list[ArmResult], **options: object) -> Summary:
    (summary,) = summarise(results, **options)
    return summary


def arm(summary: Summary, name: str) -> ArmSummary:
    (found,) = (one for one in summary.arms if one.arm == name)
    return found


def against(summary: Summary, name: str) -> Comparison:
    found = arm(summary, name).against
    assert found is not None
    return found


def two_arms(before: str, after: str, **changes: object) -> list[ArmResult]:
    """A row a question: `+` is right, `-` wrong, `x` failed."""
    marks: dict[str, bool | None] = {"+": True, "-": False, "x": None}
    return [
        row(f"q{number}", name, marks[mark], **changes)
        for name, line in (("bare", before), ("critique", after))
        for number, mark in enumerate(line)
    ]


# pass@k


@given(st.integers(1, 8).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_pass_at_k_is_the_share_of_sets_of_k_tries_that_hold_a_right_one(case: tuple[int, int, int]) -> None:
    tries, right, k = case
    marks = [True] * right + [False] * (tries - right)
    sets = list(combinations(marks, k))
    assert pass_at_k(tries, right, k) == pytest.approx(sum(map(any, sets)) / len(sets))


@given(st.integers(2, 300).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))))
def test_pass_at_k_grows_with_k_and_begins_at_the_share(case: tuple[int, int]) -> None:
    tries, right = case
    values = [pass_at_k(tries, right, k) for k in range(1, tries + 1)]
    assert values[0] == pytest.approx(right / tries)
    assert values == sorted(values)
    assert values[-1] == float(right > 0)


def test_pass_at_k_is_unbiased() -> None:
    """Its expectation over draws of tries is the true 1 - (1 - p)^k."""
    tries, k, p = 7, 3, 0.3
    expected = sum(comb(tries, c) * p**c * (1 - p) ** (tries - c) * pass_at_k(tries, c, k) for c in range(tries + 1))
    assert expected == pytest.approx(1 - (1 - p) ** k)


@pytest.mark.parametrize(("tries", "right", "k"), [(3, 1, 4), (3, 1, 0), (3, 4, 1), (3, -1, 1)])
def test_pass_at_k_refuses_what_cannot_be(tries: int, right: int, k: int) -> None:
    with pytest.raises(InvalidInput):
        pass_at_k(tries, right, k)


def test_pass_at_of_rows_leaves_out_tries_without_a_grade_and_tells_how_many_questions_remain() -> None:
    rows = [row("a", "bare", mark, epoch=e) for e, mark in enumerate((True, False, False), 1)]
    rows += [row("b", "bare", mark, epoch=e) for e, mark in enumerate((False, None, False), 1)]
    one, two = pass_at(rows)
    assert (one.k, one.questions, one.left_out, one.share.value) == (1, 2, 0, pytest.approx((1 / 3 + 0) / 2))
    assert (two.k, two.questions, two.share.value) == (2, 2, pytest.approx((2 / 3 + 0) / 2))
    assert pass_at([row("c", "bare", True), row("d", "bare", None, epoch=2)]) == ()
    three = pass_at([*rows, *(row("c", "bare", True, epoch=e, seed=1) for e in range(1, 5))])[-1]
    assert (three.k, three.questions, three.left_out) == (4, 1, 2)


# intervals


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(LETTERS), st.booleans()), min_size=2, max_size=40), st.integers(0, 5))
def test_the_interval_is_that_of_the_projects_bootstrap_over_whole_clusters(
    given_rows: list[tuple[str, bool]], seed: int
) -> None:
    clusters = [cluster for cluster, _ in given_rows]
    values = np.array([value for _, value in given_rows], dtype=np.float64)
    found = mean_over(values, clusters, seed=seed)
    whole = bootstrap(lambda some: float(some.mean()), values, groups=clusters, seed=seed)
    assert found.value == pytest.approx(whole.value)
    means = {one: values[[c == one for c in clusters]].mean() for one in clusters}
    if len(means) == 1:
        assert found.low is None
    elif len({round(float(mean), 9) for mean in means.values()}) == 1:
        assert (found.low, found.high) != (whole.low, whole.high)  # which has no width
    else:
        assert (found.low, found.high) == (pytest.approx(whole.low), pytest.approx(whole.high))


@pytest.mark.parametrize("right", [0, 12])
def test_answers_that_all_agree_have_the_clopper_pearson_interval(right: int) -> None:
    found = mean_over([right == 12] * 12, range(12))
    low = beta.ppf(0.025, right, 12 - right + 1) if right else 0.0
    high = beta.ppf(0.975, right + 1, 12 - right) if right < 12 else 1.0
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))
    unchanged = mean_over([0.0] * 12, range(12), bounds=(-1, 1))
    assert unchanged.low == pytest.approx(-(1 - 0.025 ** (1 / 12)))


def test_rows_of_one_question_stay_together_so_more_epochs_alone_prove_nothing() -> None:
    once = [(f"q{number}", number % 2 == 0) for number in range(20)]
    often = [pair for pair in once for _ in range(10)]
    narrow = mean_over([value for _, value in often], [cluster for cluster, _ in often])
    wide = mean_over([value for _, value in once], [cluster for cluster, _ in once])
    assert (narrow.low, narrow.high) == (pytest.approx(wide.low), pytest.approx(wide.high))


def test_the_standard_error_of_independent_rows_is_the_textbooks() -> None:
    values = np.array([1.0, 0, 0, 1, 1, 0, 1])
    assert standard_error(values, range(7)) == pytest.approx(values.std(ddof=1) / sqrt(7))
    doubled = standard_error(np.repeat(values, 2), np.repeat(np.arange(7), 2))
    assert doubled == pytest.approx(values.std(ddof=1) / sqrt(7))


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    draw = np.random.default_rng(0)
    held = 0
    for seed in range(100):
        ease = np.repeat(draw.beta(2, 2, size=60), 3)  # three epochs a question; the mean is one half
        found = mean_over(draw.random(180) < ease, np.repeat(np.arange(60), 3).tolist(), seed=seed)
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 0.5 <= found.high
    assert 0.89 < held / 100 <= 1


# comparisons


@given(st.integers(0, 12), st.integers(0, 12), st.integers(0, 5))
def test_on_one_row_a_question_the_test_is_mcnemars_exact_one(fixed: int, broken: int, same: int) -> None:
    steps = [1] * fixed + [-1] * broken + [0] * same
    n, least = fixed + broken, min(fixed, broken)
    by_hand = min(1.0, 2 * sum(comb(n, k) for k in range(least + 1)) / 2**n) if n else 1.0
    assert mcnemar(steps, range(len(steps))) == pytest.approx(by_hand)


def test_the_exact_test_agrees_with_the_chi_square_of_many_pairs() -> None:
    corrected = (abs(330 - 270) - 1) ** 2 / (330 + 270)
    assert mcnemar([1] * 330 + [-1] * 270, range(600)) == pytest.approx(chi2.sf(corrected, 1), abs=0.001)


def test_a_question_votes_once_however_often_it_is_tried() -> None:
    steps, clusters = [1] * 10 + [-1], ["a"] * 10 + ["b"]
    assert mcnemar(steps, range(11)) < 0.02  # as if the ten were ten questions
    assert mcnemar(steps, clusters) == 1.0
    assert mcnemar([1, -1, 1], ["a", "a", "b"]) == 1.0  # a draw in "a" is no vote


def test_a_true_null_is_called_significant_no_more_often_than_promised() -> None:
    draw = np.random.default_rng(1)
    clusters = np.repeat(np.arange(25), 4).tolist()
    called = 0
    for _ in range(300):
        lean = np.repeat(draw.choice((0.1, 0.9), size=25), 4)  # a question's epochs hang together
        called += mcnemar(np.where(draw.random(100) < lean, 1, -1), clusters) < 0.05
    assert called / 300 <= 0.07


@settings(max_examples=12, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=30))
def test_differences_are_those_of_the_projects_own_arms(both: list[tuple[bool, bool]]) -> None:
    before, after = zip(*both, strict=True)
    mark = {True: "+", False: "-"}
    found = against(only(two_arms("".join(map(mark.get, before)), "".join(map(mark.get, after)))), "critique")
    theirs = evaluate(np.ones(len(both), bool), np.array(before), np.array(after))
    assert (found.fixed, found.broken, found.p_value) == (theirs.fixed, theirs.broken, pytest.approx(theirs.p_value))
    assert found.difference.value == pytest.approx(theirs.gain.value)
    if theirs.gain.low != theirs.gain.high:
        assert (found.difference.low, found.difference.high) == (
            pytest.approx(theirs.gain.low),
            pytest.approx(theirs.gain.high),
        )


def test_what_is_said_to_be_detectable_is_detected_four_times_out_of_five() -> None:
    """A normal test on simulated studies whose true difference is the promised one."""
    draw = np.random.default_rng(2)
    pilot = draw.choice((1, -1, 0), size=150, p=(0.2, 0.15, 0.65))
    promised = detectable(pilot, range(150))
    changing = float(np.mean(pilot != 0))
    up = (changing + promised) / 2
    found = 0
    for _ in range(400):
        steps = draw.choice((1, -1, 0), size=150, p=(up, changing - up, 1 - changing))
        found += steps.mean() / standard_error(steps, range(150)) > 1.96
    assert 0.74 < found / 400 < 0.9


def test_too_few_questions_are_told_with_the_difference_that_would_show() -> None:
    few = only(two_arms("+-+-+-", "+++-+-"))
    assert against(few, "critique").detectable == pytest.approx(1.0)  # all six have to change for p below 5%
    (line,) = few.warnings
    assert line == (
        "critique: 6 questions cannot tell it from bare; "
        "only a difference of 100 points or more would show 4 times out of 5"
    )
    assert "however large" in only(two_arms("+-+", "+++")).warnings[0]
    assert "nor give an interval" in only(two_arms("-", "+")).warnings[0]
    assert only(two_arms("-" * 40, "+" * 30 + "-" * 10)).warnings == ()
    nothing = against(only(two_arms("+" * 100, "+" * 100)), "critique")
    assert nothing.detectable is not None
    assert 0.05 < nothing.detectable < 0.1


# failures are never numbers


def test_what_has_no_grade_is_counted_apart_and_never_wrong() -> None:
    rows = two_arms("++--x", "+-+x+")
    rows.append(row("q9", "critique", None, outcome=Outcome.GRADER_FAILED, answer="?"))
    summary = only(rows)
    critique = arm(summary, "critique")
    assert critique.accuracy.value == pytest.approx(3 / 4)
    assert critique.ungraded == {Outcome.AGENT_FAILED: 1, Outcome.GRADER_FAILED: 1}
    assert sum(critique.outcomes.values()) == critique.rows == 6
    assert (critique.lowest, critique.highest) == (pytest.approx(3 / 6), pytest.approx(5 / 6))
    found = against(summary, "critique")
    assert (found.pairs, found.unpaired, found.fixed, found.broken) == (3, 1, 1, 1)
    assert "2 of 6 rows have no grade (1 agent failed, 1 grader failed)" in " ".join(summary.warnings)


def test_a_failed_judge_is_counted_and_the_rows_grade_stays() -> None:
    rows = two_arms("++", "++")
    rows[2] = row("q0", "critique", True, judge_failed=True)
    summary = only(rows)
    critique = arm(summary, "critique")
    assert (critique.judge_failed, critique.graded, critique.accuracy.value) == (1, 2, 1.0)
    assert against(summary, "critique").pairs == 2


def test_a_row_twice_is_refused_and_so_is_nothing() -> None:
    rows = two_arms("+-", "++")
    with pytest.raises(InvalidInput, match="toy/q0, epoch 1, seed 0 is there twice for arm 'bare'"):
        summarise([*rows, row("q0", "bare", False)])
    assert len(checked([*rows, row("q0", "bare", False, epoch=2), row("q0", "bare", False, seed=1)])) == 6
    with pytest.raises(InvalidInput, match="no results"):
        summarise([])


def test_an_arm_without_a_grade_has_no_figures() -> None:
    summary = only(two_arms("xx", "xx"))
    assert arm(summary, "bare").accuracy == Estimate(value=None)
    found = against(summary, "critique")
    assert (found.pairs, found.p_value, found.difference.value, found.detectable) == (0, None, None, None)
    print_summary(two_arms("xx", "xx"), console=Console(file=StringIO(), width=80))


@settings(max_examples=4, deadline=None)
@given(st.permutations(list(range(30))))
def test_the_order_of_rows_changes_no_count(order: list[int]) -> None:
    rows = list(study(10))
    shuffled = [rows[index] for index in order]
    one, other = only(rows), only(shuffled)
    for name in ("critique", "gated"):
        mine, theirs = against(one, name), against(other, name)
        assert (mine.fixed, mine.broken, mine.p_value) == (theirs.fixed, theirs.broken, theirs.p_value)
        assert arm(one, name).outcomes == arm(other, name).outcomes


# pairs and price


def test_pairs_are_of_the_same_benchmark_epoch_and_seed() -> None:
    rows = [
        row("q", "bare", False),
        row("q", "bare", True, epoch=2),
        row("q", "critique", True),
        row("q", "critique", False, epoch=2),
        row("q", "critique", True, epoch=3),
        row("q", "critique", True, benchmark="other", first=Outcome.WRONG),
        row("r", "critique", True, benchmark="other"),
    ]
    changes = [pair and pair.change for pair in pairs(rows)]
    assert changes == [None, None, Change.FIXED, Change.BROKEN, None, Change.FIXED, None]


def test_without_a_bare_arm_the_shared_first_attempt_is_what_is_improved() -> None:
    rows = [row(f"q{n}", "critique", True, first=Outcome.WRONG if n else Outcome.RIGHT, tokens=9) for n in range(8)]
    summary = only(rows)
    found = against(summary, "critique")
    assert (found.fixed, found.pairs, found.tokens_per_answer) == (7, 8, None)
    assert "there is no arm 'bare'" in summary.warnings[0]
    assert against(only(two_arms("+-", "++"), bare="critique"), "bare").broken == 1


def test_more_tokens_and_dollars_are_told_for_each_answer_that_is_right_on_balance() -> None:
    rows = [
        row(f"q{n}", name, name == "critique" or n > 3, tokens=tokens, cost_usd=price)
        for name, tokens, price in (("bare", 100, 0.01), ("critique", 400, 0.05))
        for n in range(8)
    ]
    found = against(only(rows), "critique")
    assert (found.tokens_per_answer, found.cost_per_answer) == (8 * 300 / 4, pytest.approx(8 * 0.04 / 4))
    unknown = [*rows[:-1], rows[-1].model_copy(update={"cost_usd": None})]
    summary = only(unknown)
    assert against(summary, "critique").cost_per_answer is None
    assert (arm(summary, "critique").cost_usd, arm(summary, "critique").unpriced) == (None, 1)
    assert arm(summary, "bare").cost_usd == pytest.approx(0.01)
    assert against(only(two_arms("++", "+-", tokens=5)), "critique").tokens_per_answer is None  # nothing gained


def test_benchmarks_are_measured_apart_and_the_bare_arm_comes_first() -> None:
    rows = [row("q", "z", True), row("q", "bare", True), row("q", "bare", False, benchmark="other")]
    first, second = summarise(rows)
    assert [one.arm for one in first.arms] == ["bare", "z"]
    assert (second.benchmark, second.arms[0].accuracy.value) == ("other", 0.0)
    with pytest.raises(ValidationError, match="frozen"):
        second.benchmark = "else"


# the table


def shown(rows: list[ArmResult], width: int = 100) -> str:
    out = StringIO()
    print_summary(rows, console=Console(file=out, width=width))
    return out.getvalue()


def test_the_table_has_a_row_for_each_arm_with_its_figures() -> None:
    rows = [one.model_copy(update={"cost_usd": None}) if one.arm == "gated" else one for one in study(60)]
    text = shown(rows, 80)
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "…" not in text
    assert "$0.00040" in text
    assert "critique: one more right answer takes" in text
    often = [again for one in rows for again in (one, one.model_copy(update={"epoch": 2, "tokens": 12_345_678}))]
    wide = shown(often, 80)
    assert all(f"{one.tokens:,.0f}" in wide for one in only(often).arms)
    assert "…" not in wide
    assert "@2: " in wide
    critique = arm(only(rows), "critique")
    assert f"{critique.accuracy.value:.1%}" in text
    for name in ("bare", "critique", "gated"):
        assert text.count(f"\n {name} ") + text.count(f"\n{name} ") == 1


def test_hostile_names_cannot_colour_the_table() -> None:
    rows = [row("q", "[red]\x1b[31mevil\x1b]0;title\x07", True, benchmark="b\x1b[2J\u202e[bold]")]
    text = shown(rows)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "[red]" in text
    assert "b[bold]" in text


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (share(Estimate(value=0.5, low=0.25, high=1.0)), "50.0% 25.0..100.0"),
        (points(Estimate(value=-0.02, low=-0.1, high=0.0001)), "-2.0 -10.0..0.0"),
        (points(Estimate(value=None)), "-"),
        (probability(0.0), "<0.001"),
        (cost(None), "-"),
        (cost(0.0), "$0.00"),
        (cost(0.00012), "$0.00012"),
        (cost(-0.002), "-$0.0020"),
        (cost(0.0139), "$0.014"),
        (cost(0.5), "$0.50"),
        (cost(1234.5), "$1,234.50"),
    ],
)
def test_figures_in_words(said: str, expected: str) -> None:
    assert said == expected


def test_a_study_is_measured_fast_and_the_same_again() -> None:
    rows = list(study(200))
    random.Random(0).shuffle(rows)
    assert summarise(rows, seed=3) == summarise(rows, seed=3)
    assert compare([pair for pair in pairs(rows) if pair and pair.row.arm == "gated"]).fixed > 0
