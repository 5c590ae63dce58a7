"""The score of generated work: a base for its worst flaw, a little less for each other one, and a small jitter.

| work | right answer | wrong answer |
|---|---|---|
| sound and checked | 0.94 | - |
| sound | 0.89 | - |
| a failed call that was mended | 0.80 | - |
| a needless call | 0.72 | - |
| sound but for the last line (near miss) | - | 0.55 |
| an invented file, then sound work | 0.60 | 0.06 |
| a needed call left out | 0.45 | 0.14 |
| a lucky guess | 0.30 | - |
| the result ignored | 0.40 | 0.20 |
| a wrong argument | 0.40 | 0.17 |
| a guess | - | 0.08 |

Further flaws cost 0.04 each. The jitter is at most 0.03 either way, so that scores are not a handful of values.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from reagent_training.synth.plan import Flaw

_BASES: dict[Flaw, tuple[float, float]] = {
    Flaw.MENDED: (0.80, 0.80),
    Flaw.NEEDLESS_CALL: (0.72, 0.72),
    Flaw.NEAR_MISS: (0.60, 0.55),
    Flaw.INVENTED_FILE: (0.60, 0.06),
    Flaw.MISSING_CALL: (0.45, 0.14),
    Flaw.LUCKY_GUESS: (0.30, 0.10),
    Flaw.UNVERIFIED_GUESS: (0.30, 0.08),
    Flaw.IGNORED_RESULT: (0.40, 0.20),
    Flaw.WRONG_ARGUMENT: (0.40, 0.17),
}
_SOUND, _CHECKED, _FURTHER, _JITTER = 0.89, 0.94, 0.04, 0.03


def score_of(flaws: Sequence[Flaw], *, correct: bool, checked: bool, rng: Random) -> float:
    """The score, with two decimals.

    Args:
        flaws: what is wrong with the work.
        correct: whether the answer is right.
        checked: whether sound work was checked.
        rng: draws the jitter.
    """
    if flaws:
        base = min(_BASES[flaw][0 if correct else 1] for flaw in flaws) - _FURTHER * (len(flaws) - 1)
    else:
        base = _CHECKED if checked else _SOUND
    return round(min(0.99, max(0.01, base + rng.uniform(-_JITTER, _JITTER))), 2)


def severity(flaw: Flaw, *, correct: bool) -> float:
    """How bad a flaw is: the lower its base, the worse."""
    return 1 - _BASES[flaw][0 if correct else 1]
