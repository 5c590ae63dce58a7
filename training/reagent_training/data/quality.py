"""The score target: one number for the quality of the whole process, from what is known of outcome and steps."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from reagent_sdk.errors import InvalidInput

CLEAN, IDLE = 0.9, 0.7
"""A right answer by sound steps only; and by steps that are not wrong but all of them idle."""
LUCKY, REPAIRED = 0.3, 0.6
"""A right answer by wrong steps only; and the limit for one wrong step among very many good ones."""
LOST, NEAR_MISS = 0.05, 0.55
"""A wrong answer by wrong steps only; and by steps that are all sound."""
RIGHT, WRONG = 0.85, 0.15
"""A right and a wrong answer, where nobody labelled the steps."""
MESS_OF_RIGHT, MESS_OF_WRONG = 0.25, 0.10
"""What unlabelled work loses when every call of it failed or repeated an earlier one."""

_WORTH = {1: 1.0, 0: 0.5, -1: 0.0}


def process_score(correct: bool | None, labels: Sequence[int] = (), *, mess: float = 0.0) -> float | None:
    """The score of a piece of work, rounded to 0.01.

    With s the mean worth of the labelled steps (good 1, neutral 0.5, wrong 0):

    | answer | steps | score |
    |---|---|---|
    | right | none is wrong | 0.5 + 0.4 s, so 0.9 when all are good |
    | right | some are wrong | 0.3 + 0.3 s: a lucky mess has 0.3 |
    | wrong | labelled | 0.05 + 0.5 s: a sound near miss has 0.55 |
    | right | not labelled | 0.85 - 0.25 mess |
    | wrong | not labelled | 0.15 - 0.10 mess |
    | unknown | any | None |

    Args:
        correct: whether the final answer is right; None where nobody knows.
        labels: of the steps, 1 good, 0 neutral, -1 wrong. Where only the first error is known, the steps from it on
            count as wrong, because they build on it.
        mess: share of calls that failed or repeated an earlier one, in [0, 1]; counts only without labels.

    Raises:
        InvalidInput: a label or `mess` is out of range.
    """
    if not all(label in _WORTH for label in labels) or not 0.0 <= mess <= 1.0:
        raise InvalidInput(f"labels are 1, 0 or -1 and mess lies in [0, 1], not {list(labels)!r:.60} and {mess}")
    if correct is None:
        return None
    if not labels:
        return round(RIGHT - MESS_OF_RIGHT * mess if correct else WRONG - MESS_OF_WRONG * mess, 2)
    sound = fmean(_WORTH[label] for label in labels)
    if not correct:
        return round(LOST + (NEAR_MISS - LOST) * sound, 2)
    if min(labels) < 0:
        return round(LUCKY + (REPAIRED - LUCKY) * sound, 2)
    return round(CLEAN - (CLEAN - IDLE) * (1.0 - sound) / 0.5, 2)
