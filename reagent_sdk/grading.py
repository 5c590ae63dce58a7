"""A score as an expectation: read from the probabilities of the grade's ten digits instead of from one number.

A judge that must write one number throws away how sure it is, and once its analysis has taken a side, the number only
repeats it. A graded verdict (prompt `rrm-2`) therefore begins with a digit, before any reasoning. The score is the mean
of that digit under the judge's own probabilities, E[d] / 9. Training puts the target between the two digits around it,
so that the expectation of a well-trained judge is the target itself: two-hot targets, and the cross-entropy on them is
a proper scoring rule.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

DIGITS = "0123456789"
TOP = 20
"""Alternatives that are asked for at each token: as many as the common servers give, and enough for ten digits."""

_LEAST_MASS = 0.5
"""Below this probability of a digit at all, what stands there is no grade."""


class Alternatives(NamedTuple):
    """One token that was written, and the likeliest tokens at its place with their natural log-probabilities."""

    token: str
    top: Mapping[str, float]


def alternatives_from(logprobs: object) -> list[Alternatives]:
    """Reads the `logprobs` of a chat completion's choice, or of a chunk of it; what is malformed there is left out."""
    content = logprobs.get("content") if isinstance(logprobs, Mapping) else None
    return [_alternatives(one) for one in content if isinstance(one, Mapping)] if isinstance(content, list) else []


def _alternatives(one: Mapping[str, Any]) -> Alternatives:
    listed = one.get("top_logprobs")
    top = {
        str(other.get("token")): float(other["logprob"])
        for other in (listed if isinstance(listed, list) else ())
        if isinstance(other, Mapping) and _is_finite(other.get("logprob"))
    }
    return Alternatives(str(one.get("token", "")), top)


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def digit_of(score: float) -> int:
    """The digit nearest to a score in [0, 1]."""
    return min(9, int(score * 9 + 0.5))


def two_hot(score: float) -> list[float]:
    """Ten probabilities on the two digits around a score in [0, 1], with that score as their mean over 9."""
    place = score * 9
    below = min(8, int(place))
    share = place - below
    return [1 - share if digit == below else share if digit == below + 1 else 0.0 for digit in range(10)]


def expected_score(mark: str, tokens: Sequence[Alternatives]) -> float | None:
    """The mean grade over 9, in [0, 1].

    Args:
        mark: what the reply holds before the grade, such as "Grade: ". Blanks do not count, so that it makes no
            difference whether a tokenizer keeps the blank with the digit.
        tokens: the reply's tokens in order, at least up to the grade.

    Returns:
        None when the reply has no grade there, or its digits hold less than half of the probability.
    """
    written = ""
    for token in tokens:
        if _squeezed(written).endswith(_squeezed(mark)) and len(said := token.token.strip()) == 1 and said in DIGITS:
            return _mean(token.top)
        written += token.token
    return None


def _mean(top: Mapping[str, float]) -> float | None:
    mass = [0.0] * 10
    for token, log_probability in top.items():
        said = token.strip()
        if len(said) == 1 and said in DIGITS:
            mass[int(said)] += math.exp(min(0.0, log_probability))
    total = sum(mass)
    if total < _LEAST_MASS:
        return None
    return min(1.0, sum(digit * share for digit, share in enumerate(mass)) / total / 9)


def _squeezed(text: str) -> str:
    return "".join(text.split())
