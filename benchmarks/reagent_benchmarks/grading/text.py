"""Short texts: exact match and F1 as SQuAD defines them, and graders that no list of candidates can win.

What decides is the exact match of the answer proper with one of the references. A long answer that holds a reference
among other words is wrong: what surrounds it may deny it. The published normalisation drops signs, which makes "1.5"
and "15", or "C++" and "C", the same; the graders therefore also compare numbers, plus signs and sharps.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Sequence

from reagent_benchmarks.grading.base import Grade, RuleGrader
from reagent_benchmarks.grading.final import plain
from reagent_sdk.errors import InvalidInput

_ARTICLE = re.compile(r"\b(a|an|the)\b")
_NUMBER = re.compile(r"(?:(?<![\w.)])[-\u2212])?(?:\.?\d{1,3}(?:,\d{3})+(?!\d)|\.?\d+)(?:\.\d+)*")
_SIGN = re.compile(r"[+#](?!\d)|[\u266d\u266f]")
_EITHER = re.compile(
    r"\b(?:or|either|neither|nor|maybe|perhaps|possibly|alternatively|not|never|no|cannot)\b|n['\u2019]t\b|[/;|\n\u3001]",
    re.IGNORECASE,
)
_JOIN = re.compile(r"\band\b|[,&]", re.IGNORECASE)
_LOWEST_THRESHOLD = 2 / 3


def squad_normal(text: str) -> str:
    """SQuAD's published normal form: lower case, without ASCII punctuation, articles and extra white space."""
    kept = "".join(char for char in text.lower() if char not in string.punctuation)
    return " ".join(_ARTICLE.sub(" ", kept).split())


def exact_match(answer: str, reference: str) -> bool:
    """SQuAD's exact match, as published."""
    return squad_normal(answer) == squad_normal(reference)


def f1(answer: str, reference: str) -> float:
    """SQuAD's F1 of the words, as published: 0 when either has none, unless both have none."""
    said, wanted = squad_normal(answer).split(), squad_normal(reference).split()
    if not said or not wanted:
        return float(said == wanted)
    common = sum((Counter(said) & Counter(wanted)).values())
    return 2 * common / (len(said) + len(wanted))


def normal(text: str) -> str:
    """SQuAD's normal form for any script: typographic marks, full-width letters and all cases are folded as well."""
    for _ in range(4):  # each step may make work for the one before it
        before, text = text, unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
        text = squad_normal("".join(char for char in text if not unicodedata.category(char).startswith("P")))
        if text == before:
            break
    return text


def same_text(answer: str, reference: str) -> bool:
    """Whether two texts are the same words, numbers and signs."""
    wanted = normal(reference)
    if not wanted:  # "The", or marks alone: nothing would be left to compare
        return bool(reference.strip()) and answer.strip().casefold() == reference.strip().casefold()
    return normal(answer) == wanted and _numbers(answer) == _numbers(reference) and _signs(answer) == _signs(reference)


def is_list(answer: str, reference: str) -> bool:
    """Whether an answer names alternatives, or more things in a row than the reference does."""
    more = _count(_EITHER, answer) > _count(_EITHER, reference)
    return more or _count(_JOIN, answer) >= _count(_JOIN, reference) + 2


class TextGrader(RuleGrader):
    """Right: the words of one of the references and no others. Case, marks and articles do not count."""

    name = "text"

    def compare(self, said: str, references: Sequence[str], question: str) -> Grade:
        """Compares words."""
        told = plain(said)
        right = any(same_text(told, plain(reference)) for reference in references)
        return Grade.of(right, f"says {told!r}" if right else f"says {told!r}, not {references[0]!r}")


class F1Grader(RuleGrader):
    """Exact match for right, with F1 as the value. The value of a list of candidates is 0.

    Args:
        threshold: also right is an answer with this F1 or more, in (2/3, 1], that holds a whole reference as a phrase,
            whose further words hold no number, no "or", no "not" and no list. None: only an exact match is right.

    Raises:
        InvalidInput: a threshold at which naming two candidates would do.
    """

    name = "f1"

    def __init__(self, threshold: float | None = None) -> None:
        if threshold is not None and not _LOWEST_THRESHOLD < threshold <= 1:
            raise InvalidInput(f"threshold must be above 2/3 and at most 1, not {threshold}: lists would be right")
        self.threshold = threshold

    def compare(self, said: str, references: Sequence[str], question: str) -> Grade:
        """Compares words, and counts those in common."""
        told = plain(said)
        texts = [plain(reference) for reference in references]
        if any(same_text(told, text) for text in texts):
            return Grade.of(True, f"says {told!r}", 1.0)
        value = max(0.0 if is_list(told, text) else f1(told, text) for text in texts)
        right = any(self._near(told, text) for text in texts)
        return Grade.of(right, f"says {told!r}, F1 {value:.2f} with the references", value)

    def _near(self, told: str, reference: str) -> bool:
        if self.threshold is None or f1(told, reference) < self.threshold:
            return False
        phrase = f" {squad_normal(told)} ".count(f" {squad_normal(reference)} ") == 1
        rest = _count(_EITHER, told) == _count(_EITHER, reference) and _count(_JOIN, told) == _count(_JOIN, reference)
        return phrase and rest and _numbers(told) == _numbers(reference) and _signs(told) == _signs(reference)


def _numbers(text: str) -> list[str]:
    return [found.replace(",", "").replace("\u2212", "-") for found in _NUMBER.findall(text)]


def _signs(text: str) -> list[str]:
    return _SIGN.findall(text)


def _count(pattern: re.Pattern[str], text: str) -> int:
    return len(pattern.findall(text))
