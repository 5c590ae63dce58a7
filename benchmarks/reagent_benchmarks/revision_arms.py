"""What never revising, always revising and fitted rules do to paired runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

from reagent_benchmarks.revision_pairs import Pair
from reagent_benchmarks.revision_scores import Scores
from reagent_sdk.calibration.arms import Arm, cross_fitted, evaluate
from reagent_sdk.calibration.card import RevisionRule
from reagent_sdk.calibration.certify import Flags
from reagent_sdk.calibration.harm import fit_revision

EVERYTHING = "all"
SCOPES: dict[str, Callable[[Pair], str]] = {
    "agent and data set": lambda pair: f"{pair.agent}/{pair.dataset}",
    "agent": lambda pair: pair.agent,
    "all": lambda pair: EVERYTHING,
}

Taken: TypeAlias = dict[tuple[str, str], Flags]
"""Which pairs are revised, by what decides (never, always or a score) and the scope of the rules."""


class Outcome(NamedTuple):
    """What came of one way to decide.

    Attributes:
        decides: "never", "always" or the score that the rules were fitted to.
        rule_for_each: what had a rule of its own; empty without rules.
        part: of the pairs: all of them, or an agent and data set.
        arm: the counts.
    """

    decides: str
    rule_for_each: str
    part: str
    arm: Arm


def decided(pairs: Sequence[Pair], scores: Mapping[str, Scores], *, seed: int) -> Taken:
    """The decisions of every way to decide, bool [n] each."""
    first, revised = labels_of(pairs)
    taken: Taken = {("never", ""): np.zeros(len(pairs), bool), ("always", ""): np.ones(len(pairs), bool)}
    for name, values in scores.items():
        for scope, key in SCOPES.items():
            chosen = np.zeros(len(pairs), bool)
            for rows in members(pairs, key).values():
                groups = [pairs[row].group for row in rows]
                chosen[rows] = cross_fitted(values[rows], first[rows], revised[rows], groups, seed=seed)
            taken[name, scope] = chosen
    return taken


def members(pairs: Sequence[Pair], key: Callable[[Pair], str]) -> dict[str, list[int]]:
    """Rows by key."""
    rows: dict[str, list[int]] = {}
    for row, pair in enumerate(pairs):
        rows.setdefault(key(pair), []).append(row)
    return rows


def labels_of(pairs: Sequence[Pair]) -> tuple[Flags, Flags]:
    """Whether the first and the revised attempts are right, [n] each."""
    return np.array([pair.first for pair in pairs]), np.array([pair.revised for pair in pairs])


def outcomes(pairs: Sequence[Pair], taken: Taken, *, seed: int) -> list[Outcome]:
    """What came of every way to decide, on all pairs and on those of each agent and data set."""
    first, revised = labels_of(pairs)
    parts = {EVERYTHING: list(range(len(pairs)))} | members(pairs, SCOPES["agent and data set"])
    found = []
    for (name, scope), chosen in taken.items():
        for part, rows in parts.items():
            groups = [pairs[row].group for row in rows]
            arm = evaluate(chosen[rows], first[rows], revised[rows], groups, seed=seed)
            found.append(Outcome(name, scope, part, arm))
    return found


def rules(pairs: Sequence[Pair], scores: Mapping[str, Scores]) -> dict[str, dict[str, RevisionRule]]:
    """The rules fitted to all pairs of an agent, and of an agent and data set; by score and by part."""
    first, revised = labels_of(pairs)
    parts = members(pairs, SCOPES["agent"]) | members(pairs, SCOPES["agent and data set"])
    return {
        name: {part: _rule(values[rows], first[rows], revised[rows]) for part, rows in parts.items()}
        for name, values in scores.items()
    }


def _rule(scores: Scores, first: Flags, revised: Flags) -> RevisionRule:
    known = ~np.isnan(scores)
    return fit_revision(scores[known], first[known], revised[known])
