"""Grades an answer to a generated task: exact but for spelling, or within a numeric tolerance.

A reply is read from its end: what stands behind the last "Answer:", else its last line. Several different numbers in
it are no answer, so that naming many candidates earns nothing.
"""

from __future__ import annotations

import re
import unicodedata
from fractions import Fraction

from reagent_training.synth.record import GradingRule, SynthTask

_MARK = re.compile(r"\banswer\s{0,4}(?:is\s{0,4})?[:=]", re.IGNORECASE)
_WHOLE = r"(?:\d{1,3}(?:,\d{3}){1,12}(?!\d)|\d{1,40})"
_NUMBER = re.compile(
    rf"(?<![\w.,/])(?P<sign>[-+\u2212]?)(?:[$€£]\s?)?"
    rf"(?:(?P<mixed>\d{{1,20}}) (?P<over>\d{{1,20}}/\d{{1,20}})|(?P<top>{_WHOLE})/(?P<bottom>\d{{1,20}})"
    rf"|(?P<plain>{_WHOLE}(?:\.\d{{1,40}})?(?:e[-+]?\d{{1,2}})?|\.\d{{1,40}}))(?![\d/]|[.,]\d)",
    re.IGNORECASE,
)
_EDGES = " \t\n*_`\"'\u201c\u201d\u2018\u2019.,;:!?()[]{}$\\"
_ARTICLE = re.compile(r"^(?:the|a|an)\s")


def grade(reply: str, task: SynthTask) -> bool:
    """Whether a final answer is right.

    Args:
        reply: the agent's final answer, with or without words around it.
        task: what was asked, with the right answer and the rule.
    """
    return right(reply, task.answer, task.rule)


def right(reply: str, answer: str, rule: GradingRule) -> bool:
    """Whether a reply says what is right, under a rule."""
    said = stated(reply)
    if rule.kind == "text":
        return bool(said) and _words(said) in {_words(form) for form in (answer, *rule.aliases)}
    given, wanted = number(said), number(answer)
    return given is not None and wanted is not None and abs(given - wanted) <= Fraction(rule.tolerance)


def stated(reply: str) -> str:
    """The part of a reply that is its answer, in one line and without marks around it."""
    marks = list(_MARK.finditer(reply))
    told = reply[marks[-1].end() :] if marks else reply
    lines = [line.strip(_EDGES) for line in told.splitlines() if line.strip(_EDGES)]
    if not lines:
        return ""
    return lines[0] if marks else lines[-1]


def number(text: str) -> Fraction | None:
    """The one number that a text holds, exactly; None when it holds none or several of different value."""
    values = {_value(found) for found in _NUMBER.finditer(text)}
    return values.pop() if len(values) == 1 else None


def _value(found: re.Match[str]) -> Fraction | None:
    sign = -1 if found["sign"] in ("-", "\u2212") else 1
    try:
        if found["mixed"]:
            return sign * (Fraction(found["mixed"]) + Fraction(found["over"]))
        if found["top"]:
            return sign * Fraction(found["top"].replace(",", "")) / Fraction(found["bottom"])
        return sign * Fraction(found["plain"].replace(",", ""))
    except ZeroDivisionError:
        return None


def _words(text: str) -> str:
    plain = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    plain = _ARTICLE.sub("", plain.strip(_EDGES))
    return " ".join(re.findall(r"\w+", plain))
