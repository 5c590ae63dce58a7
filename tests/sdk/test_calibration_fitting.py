"""Maps: equal to an independent fit, rising, refused where they cannot help, judged on held-out questions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.optimize import minimize
from scipy.stats import binomtest
from sklearn.isotonic import IsotonicRegression

from reagent_sdk.calibration import fitting, metrics
from reagent_sdk.calibration.diagram import Panel, draw, reliability
from reagent_sdk.calibration.gate import Refusal
from reagent_sdk.calibration.maps import TILT, IsotonicMap, PlattMap

SCORES = st.integers(4, 60).flatmap(
    lambda n: st.tuples(
        hnp.arrays(np.bool_, n), hnp.arrays(np.float64, n, elements=st.integers(0, 100).map(lambda k: k / 100))
    )
)


def sample(n: int, *, slope: float = 6.0, seed: int = 0) -> tuple[Any, Any, Any]:
    """Labels, scores and groups of a judge that is sure of itself: P(right) = sigmoid(slope * score - 4)."""
    random = np.random.default_rng(seed)
    scores = random.beta(4, 2, n).round(2)
    return random.random(n) < 1 / (1 + np.exp(4 - slope * scores)), scores, np.arange(n) // 2


@given(SCORES)
@settings(max_examples=100, deadline=None)
def test_an_isotonic_map_is_scikit_learns_at_every_score(data: Any) -> None:
    labels, scores = data
    found = fitting.fit_isotonic(labels, scores)
    assume(not isinstance(found, Refusal))
    assert isinstance(found, IsotonicMap)
    known = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(scores, labels)
    everywhere = np.array([0.0, 1.0, *scores, *found.x])
    assert fitting.mapped(found, everywhere) == pytest.approx(known.predict(everywhere), abs=2 * TILT)
    ordered = np.unique(everywhere)
    assert (np.diff(fitting.mapped(found, ordered)) > 0).all()


@given(SCORES)
@settings(max_examples=100, deadline=None)
def test_maps_are_refused_only_for_a_reason_and_never_flatter_a_falling_score(data: Any) -> None:
    labels, scores = data
    for fit in (fitting.fit_platt, fitting.fit_isotonic):
        found = fit(labels, scores)
        if isinstance(found, Refusal):
            means = [scores[side].mean() for side in (labels, ~labels) if side.any()]
            assert len(means) < 2 or means[0] <= means[1] + 1e-9 or fit is fitting.fit_isotonic
        else:
            assert metrics.auroc(labels, fitting.mapped(found, scores)) == metrics.auroc(labels, scores)


@pytest.mark.parametrize("n", [12, 150, 2000])
def test_platts_map_is_the_maximum_of_his_likelihood(n: int) -> None:
    labels, scores, _ = sample(n)
    right, wrong = labels.sum(), (~labels).sum()
    target = np.where(labels, (right + 1) / (right + 2), 1 / (wrong + 2))

    def loss(parameters: Any) -> float:
        logit = parameters[0] * scores + parameters[1]
        return float(np.mean(target * np.logaddexp(0, -logit) + (1 - target) * np.logaddexp(0, logit)))

    best = minimize(loss, [1.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-15, "maxiter": 4000}).x
    found = fitting.fit_platt(labels, scores)
    assert isinstance(found, PlattMap)
    assert (found.slope, found.offset) == pytest.approx(tuple(best), rel=1e-3, abs=1e-3)


def test_a_score_that_separates_gets_a_finite_slope() -> None:
    scores = np.array([0.1] * 10 + [0.9] * 10)
    found = fitting.fit_platt(scores > 0.5, scores)
    assert isinstance(found, PlattMap)
    assert found(0.9) == pytest.approx(11 / 12, abs=1e-5)


@pytest.mark.parametrize("high", [0.01, 0.3, 1.0])
def test_equal_means_refuse_platts_map_without_a_warning(high: float) -> None:
    """The best slope is zero, where a solver meets its own rounding."""
    labels, scores = metrics.checked([0, 0, 1, 0, 1, 1], [0, 0, 0, high, 0, high])[:2]
    assert isinstance(fitting.fit_platt(labels, scores), Refusal)


@pytest.mark.parametrize(
    ("labels", "scores", "told"),
    [
        ([1, 1, 0, 0], [0.1, 0.2, 0.8, 0.9], "does not rise"),
        ([1, 0, 1, 0], [0.5] * 4, "every score is 0.50"),
        ([1, 1, 1, 1], [0.1, 0.2, 0.8, 0.9], "all the same"),
    ],
)
def test_a_map_that_cannot_help_is_refused_in_words(labels: list[int], scores: list[float], told: str) -> None:
    given = metrics.checked(labels, scores)
    for choice in ("platt", "isotonic"):
        found = fitting.fit_map(choice, *given, range(4))
        assert isinstance(found, Refusal)
        assert told in found.reason
    kept = fitting.fit_map("auto", *given, range(4))
    assert not isinstance(kept, Refusal)
    assert kept.map is None
    assert told in kept.why
    assert (kept.cross_fitted == given[1]).all()


def test_auto_takes_what_helps_on_held_out_questions() -> None:
    labels, scores, groups = sample(120)
    few = fitting.fit_map("auto", labels, scores, groups)
    assert not isinstance(few, Refusal)
    assert isinstance(few.map, PlattMap)
    assert "isotonic from 200" in few.why
    assert (metrics.brier(labels, few.cross_fitted) or 1) < (metrics.brier(labels, scores) or 0)

    random = np.random.default_rng(0)
    scores = random.random(1500).round(2)
    step = random.random(1500) < np.where(scores > 0.9, 0.95, 0.3)  # no logistic curve
    many = fitting.fit_map("auto", step, scores, np.arange(1500))
    assert not isinstance(many, Refusal)
    assert isinstance(many.map, IsotonicMap)

    none = fitting.fit_map("none", step, scores, np.arange(1500))
    assert not isinstance(none, Refusal)
    assert none.map is None


def test_a_judge_that_is_calibrated_is_hardly_changed() -> None:
    random = np.random.default_rng(5)
    scores = random.random(3000)
    kept = fitting.fit_map("auto", random.random(3000) < scores, scores, np.arange(3000))
    assert not isinstance(kept, Refusal)
    assert np.abs(fitting.mapped(kept.map, scores) - scores).mean() < 0.04


def test_what_is_reported_of_a_map_is_out_of_fold() -> None:
    # Each question has a score of its own and one label: a map that saw the question knows it by heart.
    random = np.random.default_rng(0)
    names = np.repeat(np.arange(100), 4)
    scores, labels = random.permutation(100)[names] / 100, (random.random(100) < 0.5)[names]
    found = fitting.fit_isotonic(labels, scores)
    assert isinstance(found, IsotonicMap)
    inside = metrics.brier(labels, fitting.mapped(found, scores)) or 1
    outside = metrics.brier(labels, fitting.cross_fitted("isotonic", labels, scores, names)) or 0
    assert inside < 0.25 <= outside


def test_the_diagram_counts_every_row_once_and_has_exact_intervals(tmp_path: Path) -> None:
    labels, scores, _ = sample(90)
    bins = reliability(labels, scores)
    assert bins.count.sum() == 90
    assert (bins.count * bins.share).sum() == pytest.approx(labels.sum())
    assert np.abs(bins.count * (bins.score - bins.share)).sum() / 90 == pytest.approx(metrics.ece(labels, scores))
    last = scores >= 0.9
    known = binomtest(int(labels[last].sum()), int(last.sum())).proportion_ci(0.95, method="exact")
    assert (bins.low[-1], bins.high[-1]) == pytest.approx((known.low, known.high))
    one, two = tmp_path / "one.png", tmp_path / "deep" / "two.png"
    draw(one, labels, [Panel("before", scores)], title="cost $5 $6")
    draw(two, labels, [Panel("before", scores), Panel("after", scores**2)], title="x" * 500)
    for path, columns in ((one, 1), (two, 2)):
        header = path.read_bytes()[:24]
        assert header[:8] == b"\x89PNG\r\n\x1a\n"
        assert int.from_bytes(header[16:20]) == 780 * columns
