r"""The parts of a judge's reward, as pure functions.

    R = format + w_cal * calibration + w_rank * ranking + w_out * outcome - w_leak * leak - w_len * length

`format` is 1 for a reply that the SDK's parser reads as a scored verdict, and everything is 0 without it. Calibration
is the quadratic scoring rule (Brier): 1 - (s - y)^2. The paper publishes none; this one is strictly proper for the mean
(a judge that cannot tell right from wrong work earns most by saying how often it is right), lies in [0, 1], and stays
finite at scores of 0 and 1, where a logarithm would let one reply rule the whole batch.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from reagent_sdk.parsing import parse_verdict
from reagent_sdk.prompts import GRADE
from reagent_sdk.verdict import Verdict

_GRADED = re.compile(re.escape(GRADE) + r"(\d)(?!\d)", re.ASCII)


@dataclass(frozen=True)
class Reply:
    """A judge's reply as rewards see it.

    Attributes:
        verdict: as the SDK's parser reads it.
        score: the number that counts, in [0, 1]; None for a reply out of form.
    """

    verdict: Verdict
    score: float | None

    @property
    def formed(self) -> bool:
        """Whether the reply is in form."""
        return self.score is not None


@dataclass(frozen=True)
class Parts:
    """What a reply earned, part by part; None where there is nothing to measure it by."""

    format: float
    calibration: float | None = None
    ranking: float | None = None
    outcome: float | None = None
    leak: float = 0.0
    length: float = 0.0


def read_reply(text: str, *, graded: bool, read: Literal["written", "grade"] | None = None) -> Reply:
    """Reads a reply. Under a graded prompt, one whose analysis does not begin with a grade is out of form.

    Args:
        text: what the judge wrote.
        graded: whether its prompt asks for a grade.
        read: which number counts; None means the grade where there is one.
    """
    verdict = parse_verdict(text)
    grade = _GRADED.match(verdict.analysis) if graded else None
    if verdict.score is None or (graded and grade is None):
        return Reply(verdict, None)
    return Reply(verdict, int(grade[1]) / 9 if grade and read != "written" else verdict.score)


def brier(score: float, label: float) -> float:
    """The quadratic scoring rule: 1 - (score - label)^2, in [0, 1]. Right in the mean over labels."""
    return 1.0 - (score - label) ** 2


def brier_of_mean(score: float, others: Sequence[float], label: float) -> float:
    """One sample's share in the quadratic rule of the mean score, in [0, 2].

    A policy that is paid :func:`brier` for each sampled digit learns to write one digit always: spread costs it, and
    the mean of the digits, which is what the SDK reads, can then only lie on ninths. Here the rule is laid along its
    tangent at the mean m of the *other* samples, 1 - (m - y)^2 - 2 (m - y)(s - m), which is brier + (s - m)^2. The
    policy gradient of this is that of 1 - (E[s] - y)^2, without bias, because m does not depend on the sample.

    Args:
        score: of this sample.
        others: scores of the other samples of the same row; without any, it is the plain rule.
        label: what is to be met.
    """
    if not others:
        return brier(score, label)
    return brier(score, label) + (score - sum(others) / len(others)) ** 2


def ranking(score: float, label: float, others: Iterable[tuple[float, float]]) -> float | None:
    """The share of comparisons that come out in the order of the labels; a tie counts half.

    Args:
        score: of this sample.
        label: of its row.
        others: label and mean score of each other row of the question or pair.

    Returns:
        None when no other row has another label.
    """
    won = [
        0.5 if score == mean else float((score > mean) == (label > theirs))
        for theirs, mean in others
        if theirs != label
    ]
    return sum(won) / len(won) if won else None


def beyond(verdict: Verdict, limit: int) -> float:
    """The share of the characters of analysis and critique that lie beyond a limit, in [0, 1)."""
    written = len(verdict.analysis) + len(verdict.critique)
    return max(0, written - limit) / written if written else 0.0


def total(parts: Parts, weights: Mapping[str, float]) -> float | None:
    """The reward.

    Args:
        parts: what was earned.
        weights: of `calibration`, `ranking`, `outcome`, `leak` and `length`; one that is missing is 0.

    Returns:
        0 for a reply out of form. None when an outcome is asked for and missing, or nothing else could be measured.
    """
    if not parts.format:
        return 0.0
    earned = {"calibration": parts.calibration, "ranking": parts.ranking, "outcome": parts.outcome}
    asked = {name: value for name, value in earned.items() if weights.get(name, 0.0) > 0}
    if ("outcome" in asked and parts.outcome is None) or all(value is None for value in asked.values()):
        return None
    gained = sum(weights[name] * value for name, value in asked.items() if value is not None)
    lost = weights.get("leak", 0.0) * parts.leak + weights.get("length", 0.0) * parts.length
    return parts.format + gained - lost
