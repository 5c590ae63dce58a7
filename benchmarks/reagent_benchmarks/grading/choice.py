"""Multiple choice, by letter or by the text of the option; and yes or no."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from reagent_benchmarks.grading.base import Grade, RuleGrader
from reagent_benchmarks.grading.final import bare, plain
from reagent_benchmarks.grading.text import same_text
from reagent_sdk.errors import InvalidInput

_OPTION = re.compile(r"^[ \t]{0,8}\(?([A-Z])[).:][ \t]{1,8}(\S[^\n]{0,2000})$", re.MULTILINE)
_LETTERS = re.compile(r"\(?[A-Za-z]\)?(?:(?:\s?[,;&]\s?|\s(?:and|AND)\s)\(?[A-Za-z]\)?){0,25}")
_LED = re.compile(r"(?:\(([A-Za-z])\)|([A-Za-z])(?:\s?[).:]|\s[-\u2013\u2014]))\s{0,4}(\S.{0,2000})", re.DOTALL)
_LONE = re.compile(r"(?<![\w'\u2019])(?:[B-HJ-Z]|A(?!\s[a-z])|I(?=[).:]))(?![\w'\u2019])")
_POLARITY = {"yes": True, "true": True, "no": False, "false": False}
_SPOKEN = re.compile(r"(yes|no|true|false)(?:\s{0,4}[,;:.!\u2014\u2013-](?!\w)\s{0,4}(.{0,2000}))?", re.I | re.DOTALL)
_OTHER = re.compile(
    r"\b(?:yes|no|true|false|unknown|unsure|unclear|maybe|perhaps|either|or)\b|\bnot (?:sure|known)\b", re.I
)


class ChoiceGrader(RuleGrader):
    """Right: the letter of the right option, its text, or both if they belong together. Case of letters is free.

    A reference is a letter, several letters ("A, C": all of them and no others), or the text of an option.

    Args:
        options: texts of the options, A first; by default read from the question's lines ("(A) ...", "B. ...").

    Raises:
        InvalidInput: more than 26 options.
    """

    name = "choice"

    def __init__(self, options: Sequence[str] | None = None) -> None:
        if options is not None and len(options) > 26:
            raise InvalidInput(f"options must be at most 26, not {len(options)}: they have letters")
        self._options = None if options is None else {chr(65 + place): text for place, text in enumerate(options)}

    def compare(self, said: str, references: Sequence[str], question: str) -> Grade:
        """Compares sets of letters."""
        options = dict(_OPTION.findall(question)) if self._options is None else self._options
        told = plain(said)
        wanted = [_letters(plain(reference), options) or plain(reference) for reference in references]
        given = _letters(told, options)
        right = any(given == one if isinstance(one, frozenset) else same_text(told, one) for one in wanted)
        return Grade.of(right, f"chooses {told!r}" if right else f"chooses {told!r}, not {references[0]!r}")


def _letters(text: str, options: Mapping[str, str]) -> frozenset[str]:
    """The letters that a text chooses; empty when it is none of the known forms."""
    text = text.strip().removesuffix(".")
    named = {letter for letter, option in options.items() if same_text(text, plain(option))}
    if named:
        return frozenset(named) if len(named) == 1 else frozenset()
    if re.fullmatch(r"[A-Za-z][).:]", text):
        text = text[0]
    if _LETTERS.fullmatch(text):
        return frozenset(re.findall(r"[A-Z]", re.sub(r"\s(?:and|AND)\s", ",", text).upper()))
    if not (led := _LED.fullmatch(text)):
        return frozenset()
    letter, rest = (led[1] or led[2]).upper(), bare(led[3])
    if letter in options:
        return frozenset(letter) if same_text(rest, plain(options[letter])) else frozenset()
    return frozenset() if options or _LONE.search(rest) else frozenset(letter)


class YesNoGrader(RuleGrader):
    """Right: the answer is, or begins with, the right word. True is yes, false is no.

    An explanation may follow behind a mark ("No, it is closed."), as long as it holds none of the words again.
    """

    name = "yes_no"

    def compare(self, said: str, references: Sequence[str], question: str) -> Grade:
        """Compares polarity."""
        wanted = {_POLARITY.get(plain(reference).strip(" .!").lower()) for reference in references}
        if None in wanted or len(wanted) != 1:
            return Grade.failed(f"the reference {references[0]!r} is neither yes nor no, or there are both")
        told = plain(said)
        spoken = _SPOKEN.fullmatch(told)
        clear = spoken is not None and not _OTHER.search(spoken[2] or "")
        right = spoken is not None and clear and {_POLARITY[spoken[1].lower()]} == wanted
        return Grade.of(right, f"says {told!r}")
