"""Populations of judged work whose real risk is known, and ways to choose a threshold on draws from them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from reagent_sdk.calibration.certify import certify
from reagent_sdk.calibration.gate import even_budget
from reagent_sdk.calibration.grid import GRID

Floats: TypeAlias = NDArray[np.float64]
Counts: TypeAlias = NDArray[np.int64]

THRESHOLDS: Floats = np.array(GRID)[::-1]  # as `fit_gate` tests them
NONE = -1
ABOVE = 1e-9
"""How far the risk of a boundary population lies above the target."""

HIGHEST_TARGET = 0.3
"""Up to here the shares of wrong work below are shares."""


@dataclass(frozen=True)
class Population:
    """Judged work of which everything is known.

    Attributes:
        name: what it stands for.
        scores: that occur, [K].
        shares: of the work with each score, [K].
        wrong: share of the work with each score that is wrong, [K].
        labels: how many a threshold is chosen with.
        thresholds: to choose from, falling, [J].
    """

    name: str
    scores: Floats
    shares: Floats
    wrong: Floats
    labels: int
    thresholds: Floats = field(default_factory=lambda: THRESHOLDS)

    def with_own_grid(self) -> Population:
        """The same with no other thresholds than the scores that occur."""
        return replace(self, thresholds=np.unique(self.scores)[::-1])

    @property
    def accepts(self) -> NDArray[np.bool_]:
        """Which scores each threshold accepts, [J, K]."""
        return self.scores >= self.thresholds[:, None]

    @property
    def accepted(self) -> Floats:
        """Share of the work that each threshold accepts, [J]."""
        accepted: Floats = self.accepts @ self.shares
        return accepted

    @property
    def risk(self) -> Floats:
        """Share of wrong work among what each threshold accepts, [J]; 0 where that is nothing."""
        wrong = self.accepts @ (self.shares * self.wrong)
        return np.divide(wrong, self.accepted, out=np.zeros_like(wrong), where=self.accepted > 0)

    def draw(self, labels: int, resamples: int, random: np.random.Generator) -> Counts:
        """Counts of wrong and right work at each score, [R, K, 2]."""
        chances = np.stack([self.shares * self.wrong, self.shares * (1 - self.wrong)], axis=1)
        drawn = random.multinomial(labels, chances.reshape(-1) / chances.sum(), size=resamples)
        return drawn.reshape(resamples, -1, 2)


def populations(target: float) -> list[Population]:
    """What a threshold is chosen on: good and bad judges, and the hardest cases for a promise of `target`."""
    fine, edge = np.array(GRID), target + ABOVE
    good = 0.9 / (1 + np.exp(12 * (fine - 0.45))) + 0.01
    even = np.full(21, 1 / 21)
    steep = 3.0 ** -np.arange(8)
    return [
        Population("good judge", fine, even, good, 300),
        Population("good judge, few labels", fine, even, good, 40),
        Population("useless judge", fine, even, np.full(21, min(0.9, 4 * target)), 300),
        _of("coarse scores", (0.2, 0.5, 0.8, 0.9, 1.0), (10, 15, 25, 35, 15), (0.8, 0.5, 0.2, 0.07, 0.02), 300),
        _of("wrong when surest", (0.3, 0.7, 0.85, 1.0), (40, 20, 30, 10), (0.8, 0.02, 0.02, 0.3), 300),
        Population("every threshold just above", fine, even, np.full(21, edge), 300),
        Population("the same, hardly overlapping", fine[-8:], steep / steep.sum(), np.full(8, edge), 20_000),
        _of("loose threshold just above", (0.3, 0.9), (30, 70), ((edge - 0.7 * target / 5) / 0.3, target / 5), 600),
    ]


def _of(name: str, scores: tuple[float, ...], percent: tuple[int, ...], wrong: tuple[float, ...], n: int) -> Population:
    return Population(name, np.array(scores), np.array(percent) / 100, np.array(wrong), n)


Chooser: TypeAlias = Callable[[Population, int, np.random.Generator, float, float], Counts]
"""Takes a population, the number of resamples, randomness, target and confidence; gives the index of the threshold
chosen in each resample, [R], or `NONE`."""


def gate(people: Population, resamples: int, random: np.random.Generator, target: float, confidence: float) -> Counts:
    """The SDK's gate: what `fit_gate` does, on many draws at once."""
    wrong, accepted = _tallied(people, people.labels, resamples, random)
    budget = even_budget(len(people.thresholds), confidence)
    return _loosest(certify(wrong, accepted, limit=target, budget=budget).passed)


def bonferroni(
    people: Population, resamples: int, random: np.random.Generator, target: float, confidence: float
) -> Counts:
    """Each threshold tested at an equal share of the allowed error, none handed on."""
    wrong, accepted = _tallied(people, people.labels, resamples, random)
    return _loosest(binom.cdf(wrong, accepted, target) <= (1 - confidence) / len(people.thresholds))


def split(people: Population, resamples: int, random: np.random.Generator, target: float, confidence: float) -> Counts:
    """One half of the labels chooses the threshold, the other half tests that one alone."""
    half = people.labels // 2
    wrong, accepted = _tallied(people, half, resamples, random)
    p_values = binom.cdf(wrong, accepted, target)
    chosen = _loosest(p_values <= 1 - confidence)
    chosen = np.where(chosen == NONE, p_values.argmin(axis=1), chosen)
    wrong, accepted = _tallied(people, people.labels - half, resamples, random)
    rows = np.arange(resamples)
    passed = binom.cdf(wrong[rows, chosen], accepted[rows, chosen], target) <= 1 - confidence
    return np.where(passed, chosen, NONE)


def naive(people: Population, resamples: int, random: np.random.Generator, target: float, confidence: float) -> Counts:
    """The lowest threshold at which the share of wrong work in the labels is within the target."""
    wrong, accepted = _tallied(people, people.labels, resamples, random)
    return _loosest((accepted > 0) & (wrong <= target * accepted))


def _tallied(people: Population, labels: int, resamples: int, random: np.random.Generator) -> tuple[Counts, Counts]:
    """Wrong and all work that each threshold accepts, [R, J] each."""
    counts = people.draw(labels, resamples, random)
    covers = people.accepts.T
    return counts[..., 0] @ covers, counts.sum(axis=-1) @ covers


def _loosest(passed: NDArray[np.bool_]) -> Counts:
    last = passed.shape[1] - 1 - passed[:, ::-1].argmax(axis=1)
    return np.where(passed.any(axis=1), last, NONE)
