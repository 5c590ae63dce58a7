"""Maps from a judge's score to the probability that the work is right.

Every map is strictly increasing. So a calibrated judge orders attempts just as the bare judge does, the best attempt
stays the best, and a threshold on the score carries over to the calibrated score with all that was proven of it.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from reagent_sdk.frozen import Frozen

TILT = 1e-6
"""Share of the score itself in the calibrated score: it breaks the ties on a map's flat stretches."""


class IsotonicMap(Frozen):
    """A non-decreasing, piecewise linear map, made strict by `TILT`.

    `x` are scores, strictly increasing from 0 to 1; `y`, as many, are the shares of right work at them, in [0, 1].
    """

    kind: Literal["isotonic"] = "isotonic"
    x: tuple[float, ...] = Field(min_length=2)
    y: tuple[float, ...] = Field(min_length=2)

    @model_validator(mode="after")
    def _increasing(self) -> Self:
        if len(self.x) != len(self.y) or self.x[0] != 0.0 or self.x[-1] != 1.0:
            raise ValueError("x runs from 0 to 1, and y has as many values")
        if any(a >= b for a, b in pairwise(self.x)) or any(a > b for a, b in pairwise(self.y)):
            raise ValueError("x must increase and y must not fall")
        if self.y[0] < 0.0 or self.y[-1] > 1.0:
            raise ValueError("y lies in [0, 1]")
        return self

    def __call__(self, score: float) -> float:
        """The calibrated score, in [0, 1].

        Args:
            score: the judge's score, in [0, 1].
        """
        right = min(bisect_right(self.x, score), len(self.x) - 1)
        low, high = self.x[right - 1], self.x[right]
        below, above = self.y[right - 1], self.y[right]
        share = below + (above - below) * ((score - low) / (high - low))
        return _tilted(share, score)


class PlattMap(Frozen):
    """A logistic map, 1 / (1 + exp(-(slope * score + offset))) (Platt 1999, on the score itself)."""

    kind: Literal["platt"] = "platt"
    slope: float = Field(gt=0)
    offset: float

    def __call__(self, score: float) -> float:
        """The calibrated score, in [0, 1].

        Args:
            score: the judge's score, in [0, 1].
        """
        logit = self.slope * score + self.offset
        odds = math.exp(-abs(logit))
        return _tilted(1 / (1 + odds) if logit >= 0 else odds / (1 + odds), score)


def _tilted(share: float, score: float) -> float:
    return min(1.0, max(0.0, (1 - TILT) * share + TILT * score))


ScoreMap = Annotated[IsotonicMap | PlattMap, Field(discriminator="kind")]
