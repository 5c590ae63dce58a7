"""The leak guard: a critique names the flaw, never the answer.

A critique that states an answer which the agent's own work does not hold either solves the task in the agent's place
or, written by a judge that was talked into it, plants a false one. Found here by its wording; pure, and shared with
training, which leaves such critiques out.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence

from reagent_sdk.number_words import NUMBER_WORDS, worth_of
from reagent_sdk.task import Task
from reagent_sdk.trajectory import Trajectory

REDACTED = "[removed]"

# Every repetition is bounded and values start at a word's edge: the critique is hostile, and so must not cost time.
_GAP, _SPACE = r"\s{0,4}", r"\s{1,4}"
_DIGITS = r"\d{1,40}(?:,\d{3}){0,12}(?:\.\d{1,40})?(?:[eE][-+]?\d{1,4})?(?:/\d{1,20})?"
_NUMBER = rf"(?<![\w.,])[-+]?[$€£]?{_DIGITS}%?"
_QUOTED = r"\"[^\"\n]{1,120}\"|“[^”\n]{1,120}”|'[^'\n]{1,120}'(?!\w)|`[^`\n]{1,120}`|\*\*[^*\n]{1,120}\*\*"
_BOXED = r"\\boxed\{[^{}\n]{1,120}\}"
_MATHS = r"\$[^$\n]{1,120}\$"
_LINK = rf"(?:(?:of|the|and|de|von|van|la|le|da|di|y|&){_SPACE}){{0,3}}"
_NAME_ENDS = rf"(?={_GAP}(?:[.,;:!?)\]\n]|$)|{_SPACE}(?:instead|not|rather|because|since|according|as|and)\b)"
_NAME = rf"(?-i:(?<!\w)[A-Z][\w'\u2019.-]{{0,40}}(?:[ ,]{{1,3}}{_LINK}[A-Z\d][\w'\u2019.-]{{0,40}}){{0,7}}){_NAME_ENDS}"
_IN_WORDS = rf"{NUMBER_WORDS}(?!{_SPACE}of\b){_NAME_ENDS}"
_YES_NO = r"\b(?:yes|no|true|false)\b(?!\s{1,4}\w)"
_VALUE = rf"(?P<value>{_BOXED}|{_MATHS}|{_QUOTED}|{_NUMBER}|{_IN_WORDS}|{_YES_NO}|{_NAME})"
_ANSWER = r"(?:answer|result|solution|value|total|sum|number|amount|name|conclusion|option|choice|output)"
_IS = rf"{_GAP}(?:\bis|\bwas|=|:|\bequals?|\b(?:should|must|would|ought to) (?:be|read|have been|equal))"
_HEDGE = rf"(?:{_SPACE}(?:actually|really|in fact|simply|clearly|indeed|then|therefore|thus|just|exactly|about)){{0,3}}"
_STATED = (
    rf"\b{_ANSWER}{_IS}{_HEDGE}{_GAP}[:=]?{_GAP}(?:the{_SPACE})?{_VALUE}",
    rf"\b(?:it|this|that) (?:should|must|would) (?:be|read|have been|equal){_HEDGE}{_SPACE}{_VALUE}",
    rf"\b(?:answer|reply|respond|write|say|output|return|submit){_SPACE}(?:(?:with|just|only){_SPACE}){{0,3}}{_VALUE}",
    rf"\binstead[,:]?{_SPACE}(?:it (?:is|was){_SPACE})?{_VALUE}",
    rf"{_VALUE}(?:,? not|,? rather than|,? instead of)\s",
    rf"{_VALUE} (?:is|was|would be) the (?:correct|right|true|actual|final|real)(?: \w{{1,20}})? {_ANSWER}\b",
    rf"{_VALUE} (?:is|was|would be) (?:correct|right)\b",
    rf"=\s?(?P<value>[-+]?[$€£]?{_DIGITS}%?)",
    rf"(?P<value>{_BOXED})",
)
_NO_ANSWERS = frozenset(
    ("do", "does", "did", "is", "are", "was", "were", "can", "could", "should", "would", "might", "must", "has", "had")
)
"""Verbs that stand before a "not" as an answer does: "Do not trust it" beside "Paris, not London"."""
_EDGES = " \t\"'“”`*$.,;:!?()[]"


@functools.cache
def _patterns() -> tuple[re.Pattern[str], ...]:
    """Compiled at the first critique and not at import: it takes a hundredth of a second."""
    return tuple(re.compile(pattern, re.IGNORECASE) for pattern in _STATED)


def stated_answers(critique: str) -> tuple[str, ...]:
    """What a critique states as an answer or as a computed result, as it stands in the text, each once."""
    found = {match["value"].strip(): None for pattern in _patterns() for match in pattern.finditer(critique)}
    return tuple(value for value in found if _plain(value) and _plain(value).casefold() not in _NO_ANSWERS)


def leaked_answers(critique: str, task: Task, trajectory: Trajectory) -> tuple[str, ...]:
    """The stated answers that neither the question nor the agent's work holds; empty for a fair critique.

    Numbers are compared by value ("1,000" is "1000.0" and "one thousand"), texts without case and punctuation. A bare
    yes, no, true or false is held against the agent's answer alone, since such words occur in any text.
    """
    stated = stated_answers(critique)
    if not stated:
        return ()
    work = _Work(task, trajectory)
    return tuple(value for value in stated if not work.holds(value))


def redact(critique: str, leaks: Sequence[str]) -> str:
    """The critique with the leaked answers removed, wherever they stand in it."""
    for leak in sorted(leaks, key=len, reverse=True):
        critique = re.sub(rf"(?<!\w){re.escape(leak)}(?!\w)", REDACTED, critique)
    return critique


class _Work:
    """What the agent was given and did, ready to be searched."""

    def __init__(self, task: Task, trajectory: Trajectory) -> None:
        said = [message.text for message in (*task.messages, *trajectory.messages)]
        calls = [str(call.function.arguments) for message in trajectory.messages for call in message.tool_calls or ()]
        text = "\n".join((*said, *calls, trajectory.answer))
        self._answer = f" {_words(trajectory.answer)} "
        self._words = f" {_words(text)} "
        written = (*re.findall(_NUMBER, text), *re.findall(NUMBER_WORDS, text, re.IGNORECASE))
        self._numbers = {_number(found) for found in written}

    def holds(self, value: str) -> bool:
        plain = _plain(value)
        if re.fullmatch(_YES_NO, plain, re.IGNORECASE):
            return f" {plain.lower()} " in self._answer
        number = _number(plain)
        return number in self._numbers if number is not None else f" {_words(plain)} " in self._words


def _plain(value: str) -> str:
    """The value without marks around it."""
    boxed = re.fullmatch(r"\\boxed\{(.*)\}", value.strip())
    return (boxed[1] if boxed else value).strip(_EDGES)


def _words(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))


def _number(text: str) -> float | None:
    """The value of a number in digits or words; None for other texts and for fractions, which are compared as texts."""
    if (worth := worth_of(text.strip(_EDGES))) is not None:
        return float(worth)
    bare = re.sub(r"[$€£,%\s]", "", text.strip(_EDGES))
    try:
        return float(bare)
    except ValueError:
        return None
