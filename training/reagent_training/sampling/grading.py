"""Grades an answer against the answers of a question file.

Numbers are right by value, formulas as they are written (without spaces and the dressing of LaTeX), other texts by
their words, without case, marks and a leading article. Nothing else is equal: "Paris, France" is not "Paris", and 2x is
not x + x. What counts is behind the last "Answer:", in the last `\\boxed{}`, behind a closing `####`, or the last line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from reagent_training.synth.grading import number, right
from reagent_training.synth.record import GradingRule

_MARK = re.compile(r"\banswer\s{0,4}(?:is\s{0,4})?[:=]", re.IGNORECASE)
_BOXED = re.compile(r"\\boxed\s?\{")
_HASHES = re.compile(r"^####\s*(\S[^\n]*)\Z", re.MULTILINE)
_DRESSING = " \t*_`$"
_FRACTION = re.compile(r"\\[dt]?frac(?:\{(\d{1,20})\}\{(\d{1,20})\}|(\d)(\d))")
_SPACING = re.compile(r"\\(?:left|right|displaystyle|quad)(?![a-zA-Z])|(?<!\\)\\[!,;: ]")
_TEXT = re.compile(r"\\(?:text|textbf|mathrm|mbox)\{([^{}]*)\}")
_ONLY_A_NUMBER = re.compile(r"[-+\u2212]?\s?[$€£]?\s?[\d.,/ ]*\d\s?%?\.?")
_FORMULA = re.compile(r"[\\^=+*/_{}<>|]|(?<!\w\w)-|-(?!\w\w)")
_BRACKET = re.compile(r"[()\[\]]")
_TEXT_RULE = GradingRule(kind="text")


def is_right(reply: str, references: Iterable[str], *, cut_off: bool = False) -> bool:
    """Whether a reply gives one of the right answers.

    Args:
        reply: the agent's final answer, with or without words around it.
        references: the right answers.
        cut_off: the reply was cut off; then only a marked answer counts, because the last line is no conclusion.
    """
    if cut_off and not is_marked(reply):
        return False
    said = final_answer(reply)
    return bool(said) and any(_same(said, reference) for reference in references)


def is_marked(reply: str) -> bool:
    """Whether a reply marks its final answer."""
    return any(pattern.search(reply.strip()) for pattern in (_MARK, _BOXED, _HASHES))


def final_answer(reply: str) -> str:
    """The part of a reply that is its answer, in one line; empty when there is none."""
    reply = reply.strip()
    marks = [found.end() for found in _MARK.finditer(reply)]
    boxes = [found.end() for found in _BOXED.finditer(reply)]
    if boxes and boxes[-1] > max(marks, default=-1):
        return _bare(" ".join(_until_closed(reply[boxes[-1] :]).split()))
    if marks:
        return _bare(next((line for line in reply[marks[-1] :].splitlines() if _bare(line)), ""))
    if hashes := _HASHES.search(reply):
        return _bare(hashes[1])
    return _bare(next((line for line in reversed(reply.splitlines()) if _bare(line)), ""))


def reference_of(answer: str) -> str:
    """The answer alone, where a worked solution stands before it, as in GSM8K: `... #### 18`."""
    return answer.rpartition("####")[2].strip() if "####" in answer else answer.strip()


def _same(said: str, reference: str) -> bool:
    said, reference = _undressed(said), _undressed(reference)
    wanted = number(reference) if _ONLY_A_NUMBER.fullmatch(reference) else None
    if wanted is not None:
        given = number(said)
        if given is None and "=" in said:  # the conclusion of an equation: "9 * 2 = 18"
            given = number(said.rpartition("=")[2])
        return given == wanted
    if _FORMULA.search(reference) or (_BRACKET.search(reference) and re.search(r"\d", reference)):
        return _compact(said) == _compact(reference)
    return right(f"Answer: {said}", reference, _TEXT_RULE)


def _bare(text: str) -> str:
    return text.strip().strip(_DRESSING).strip()


def _until_closed(text: str) -> str:
    """What stands before the brace that closes a box."""
    depth = 1
    for place, char in enumerate(text):
        depth += (char == "{") - (char == "}")
        if depth == 0:
            return text[:place]
    return text


def _undressed(text: str) -> str:
    text = _FRACTION.sub(lambda found: f"{found[1] or found[3]}/{found[2] or found[4]}", text)
    text = _TEXT.sub(r"\1", _SPACING.sub("", text)).replace("\\$", "$").replace("\\%", "%")
    return _bare(text)


def _compact(text: str) -> str:
    """A formula without spaces, dollar signs, braces around one character and a full stop."""
    text = re.sub(r"[\s$]", "", text).replace("\u2212", "-").rstrip(".")
    return re.sub(r"\{(\w)\}", r"\1", text)
