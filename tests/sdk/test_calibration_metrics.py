"""The figures against independent definitions, the intervals against what they promise, the baselines against leaks."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import mannwhitneyu
from sklearn.metrics import average_precision_score, brier_score_loss, cohen_kappa_score

from reagent_sdk.calibration import baselines, metrics
from reagent_sdk.errors import InvalidInput

SCORES = st.integers(2, 60).flatmap(
    lambda n: st.tuples(
        hnp.arrays(np.bool_, n), hnp.arrays(np.float64, n, elements=st.integers(0, 20).map(lambda k: k / 20))
    )
)


def both(labels: Any) -> bool:
    return bool(labels.any() and not labels.all())


def by_hand(labels: Any, scores: Any, bins: int = 10) -> float:
    """ECE, bin by bin, as it is defined."""
    total = 0.0
    for one in range(bins):
        low, high = one / bins, (one + 1) / bins
        inside = [low <= s < high or (one == bins - 1 and s == 1.0) for s in scores]
        if any(inside):
            total += abs(sum(s - y for s, y, i in zip(scores, labels, inside, strict=True) if i))
    return total / len(labels)


@given(SCORES)
@settings(max_examples=150, deadline=None)
def test_figures_agree_with_independent_definitions(data: Any) -> None:
    labels, scores = data
    if both(labels):
        pairs = list(product(scores[labels], scores[~labels]))
        won = sum((a > b) + (a == b) / 2 for a, b in pairs) / len(pairs)
        assert metrics.auroc(labels, scores) == pytest.approx(won)
        u = mannwhitneyu(scores[labels], scores[~labels], method="asymptotic").statistic
        assert metrics.auroc(labels, scores) == pytest.approx(u / len(pairs))
        assert metrics.auprc(labels, scores) == pytest.approx(average_precision_score(labels, scores))
        assert metrics.kappa(labels, scores) == pytest.approx(cohen_kappa_score(labels, scores >= 0.5))
        assert metrics.brier(labels, scores) == pytest.approx(brier_score_loss(labels, scores))
    assert metrics.accuracy(labels, scores) == np.mean([(s >= 0.5) == y for s, y in zip(scores, labels, strict=True)])


@given(SCORES)
@settings(max_examples=150, deadline=None)
def test_figures_stay_in_range_and_rank_alone_decides_auroc(data: Any) -> None:
    labels, scores = data
    error = metrics.ece(labels, scores)
    assert error is not None
    assert 0 <= error <= 1
    grid = np.floor(scores * 20) / 20  # the same values, off the edges of bins
    off_edges = np.clip(grid + 0.01, 0, 1)
    assert metrics.ece(labels, off_edges) == pytest.approx(by_hand(labels, off_edges))
    if both(labels):
        for rising in (scores**3, np.sqrt(scores), 0.2 + scores / 2):
            assert metrics.auroc(labels, rising) == pytest.approx(metrics.auroc(labels, scores))
            assert metrics.auprc(labels, rising) == pytest.approx(metrics.auprc(labels, scores))
        assert metrics.auroc(labels, 1 - scores) == pytest.approx(1 - (metrics.auroc(labels, scores) or 0))


def test_known_values() -> None:
    labels = np.array([True, True, False, False])
    assert metrics.auroc(labels, np.array([0.9, 0.4, 0.5, 0.1])) == 0.75
    assert metrics.auroc(labels, np.full(4, 0.3)) == 0.5
    assert metrics.auprc(labels, np.full(4, 0.3)) == 0.5
    assert metrics.ece(labels, np.array([1.0, 1.0, 1.0, 0.0])) == pytest.approx(1 / 4)
    assert metrics.ece(labels, np.full(4, 0.5)) == 0
    assert metrics.brier(labels, np.array([1.0, 1.0, 0.0, 0.5])) == pytest.approx(0.0625)
    assert metrics.kappa(labels, np.full(4, 0.9)) == 0
    assert metrics.kappa(labels, 1.0 - labels) == -1
    assert metrics.kappa(labels, np.array([0.9, 0.7, 0.6, 0.1]), threshold=0.65) == 1
    assert list(metrics.bin_of(np.array([0.0, 0.1, 0.3, 0.7, 0.99, 1.0]))) == [0, 1, 3, 7, 9, 9]


@pytest.mark.parametrize("labels", [[True, True], [False, False], []])
def test_one_class_or_nothing_is_undefined_where_it_must_be(labels: list[bool]) -> None:
    given = (np.array(labels, dtype=np.bool_), np.array([0.2, 0.7][: len(labels)]))
    assert [metric(*given) for metric in (metrics.auroc, metrics.auprc, metrics.kappa)] == [None, None, None]
    assert all((metric(*given) is None) == (not labels) for metric in (metrics.brier, metrics.ece, metrics.accuracy))
    assert metrics.bootstrap(metrics.auroc, *given).value is None


@pytest.mark.parametrize(
    ("labels", "scores"),
    [([1, 0], [0.5]), ([1, 2], [0.5, 0.5]), ([1, 0], [0.5, math.nan]), ([1, 0], [0.5, 1.1]), ([[1]], [[0.5]])],
)
def test_unfit_input_is_refused(labels: Any, scores: Any) -> None:
    with pytest.raises(InvalidInput):
        metrics.checked(labels, scores)


def test_bootstrap_intervals_cover_the_truth() -> None:
    # Right work scores from N(1, 1), wrong work from N(0, 1), squeezed into [0, 1]: AUROC = Phi(1 / sqrt(2)) = 0.760.
    truth, hits, times = 0.5 * (1 + math.erf(1 / 2)), 0, 100
    for seed in range(times):
        random = np.random.default_rng(seed)
        labels = random.random(80) < 0.5
        scores = 1 / (1 + np.exp(-random.normal(labels.astype(float))))
        found = metrics.bootstrap(metrics.auroc, labels, scores, resamples=150, seed=seed)
        assert found.low is not None
        assert found.high is not None
        hits += found.low <= truth <= found.high
    assert 0.88 * times <= hits < times


def test_a_bootstrap_by_group_knows_that_copies_tell_nothing_new() -> None:
    random = np.random.default_rng(0)
    labels, scores = random.random(60) < 0.5, random.random(60)
    copied, copies = np.repeat(labels, 5), np.repeat(scores, 5)
    groups = [f"question {row}" for row in np.repeat(np.arange(60), 5)]
    wide = metrics.bootstrap(metrics.auroc, copied, copies, groups=groups)
    same = metrics.bootstrap(metrics.auroc, labels, scores)
    narrow = metrics.bootstrap(metrics.auroc, copied, copies)
    assert (wide.low, wide.high) == (same.low, same.high)
    assert (wide.high or 0) - (wide.low or 0) > 1.8 * ((narrow.high or 0) - (narrow.low or 0))


def test_bootstrap_takes_any_statistic_is_reproducible_and_gives_no_interval_it_cannot_know() -> None:
    values = np.arange(20.0)
    mean = metrics.bootstrap(lambda rows: float(rows.mean()), values, seed=3)
    assert mean == metrics.bootstrap(lambda rows: float(rows.mean()), values, seed=3)
    assert mean != metrics.bootstrap(lambda rows: float(rows.mean()), values, seed=4)
    assert mean.value == 9.5
    one_group = metrics.bootstrap(metrics.auroc, np.array([True, False]), np.array([1.0, 0.0]))
    assert (one_group.value, one_group.low is None) == (1.0, False)  # half of the draws are defined: just enough
    rare = np.arange(40) == 0
    alone = metrics.bootstrap(lambda rows: float(rows.mean()) if rows.sum() > 1 else None, rare)
    assert alone.value is None
    mostly = metrics.bootstrap(lambda a, b: 1.0 if (a == values[:8]).all() else None, values[:8], values[:8])
    assert (mostly.value, mostly.low, mostly.high) == (1.0, None, None)
    with pytest.raises(InvalidInput):
        metrics.bootstrap(metrics.auroc, rare, values)
    with pytest.raises(InvalidInput):
        metrics.bootstrap(metrics.brier, rare, rare * 1.0, groups=["a"])


def test_baselines_never_see_the_question_that_they_guess() -> None:
    # The label depends on the question alone and each text names its question: whoever saw the question knows.
    random = np.random.default_rng(0)
    names = np.repeat(np.arange(60), 4)
    labels = (random.random(60) < 0.5)[names]
    texts = [f"question{name} {' '.join(random.choice(list('abcdefgh'), 20))}" for name in names]
    constant = baselines.constant(labels, names)
    honest = baselines.relative(baselines.bag_of_words(texts, labels, names), constant)
    leaky = baselines.bag_of_words(texts, labels, np.arange(len(names)))
    assert (metrics.auroc(labels, leaky) or 0) > 0.95
    assert (metrics.auroc(labels, honest) or 0) < 0.65
    for fit, held_out in baselines.group_folds(names):
        assert not set(names[fit]) & set(names[held_out])
        assert constant[held_out] == pytest.approx(labels[fit].mean())
    seen = np.concatenate([held_out for _, held_out in baselines.group_folds(names)])
    assert sorted(seen) == list(range(len(names)))


def test_baselines_learn_what_there_is_to_learn() -> None:
    random = np.random.default_rng(1)
    labels = random.random(120) < 0.6
    words = ["it is surely so" if right else "perhaps it is so" for right in labels]
    sizes = ["x" * (50 if right else 80) for right in labels]
    groups = np.arange(120)
    assert (metrics.auroc(labels, baselines.bag_of_words(words, labels, groups)) or 0) > 0.95
    assert (metrics.auroc(labels, baselines.length(sizes, labels, groups)) or 0) > 0.95
    assert (metrics.brier(labels, baselines.bag_of_words(words, labels, groups)) or 1) < 0.1


def test_words_that_tell_nothing_do_not_rank_backwards() -> None:
    pooled, ranked = [], []
    for seed in range(6):
        random = np.random.default_rng(seed)
        labels, groups = random.random(30) < 0.6, np.arange(30) // 2
        texts = [" ".join(random.choice([f"w{word}" for word in range(200)], 40)) for _ in range(30)]
        guessed, constant = baselines.bag_of_words(texts, labels, groups), baselines.constant(labels, groups)
        pooled.append(metrics.auroc(labels, guessed) or 0)
        ranked.append(metrics.auroc(labels, baselines.relative(guessed, constant)) or 0)
    assert np.mean(pooled) < 0.4
    assert 0.42 < np.mean(ranked) < 0.58
    assert set(baselines.relative(constant, constant)) == {0.5}


def test_baselines_with_one_class_around_a_fold_say_the_base_rate() -> None:
    labels = np.array([True, True, True, False])
    guessed = baselines.bag_of_words(["a", "b", "c", "d"], labels, [1, 2, 3, 4])
    assert guessed[3] == 1.0
    with pytest.raises(InvalidInput, match="at least two questions"):
        baselines.constant(labels, ["same"] * 4)
