"""The questions of the demo, with what their answers must contain."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class DemoQuestion:
    """A question; `expected` is a number or word of its right answer, None when nobody told."""

    text: str
    expected: str | None = None


QUESTIONS = (
    DemoQuestion("What is 7 times 8?", "56"),
    DemoQuestion("A box holds 4 rows of eggs with 3 eggs in each row. How many eggs are in the box?", "12"),
    DemoQuestion(
        "Lena has 15 marbles. She gives 6 to her brother and then finds 2 more. How many marbles does she have now?",
        "11",
    ),
    DemoQuestion("Today is Monday. What day of the week will it be in 3 days?", "Thursday"),
)


def contains(answer: str, expected: str) -> bool:
    """Whether the answer contains the expected number or word as a whole; it may stand there by chance."""
    return re.search(rf"(?<![\w.,-]){re.escape(expected)}(?!\w|[.,]\d)", answer, re.IGNORECASE) is not None
