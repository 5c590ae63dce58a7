"""English numbers written in words: where they stand in a text, and what they are worth."""

from __future__ import annotations

import re

_SMALL = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9}
_WORTH = {word: value for value, word in enumerate(_SMALL)} | {word: 20 + 10 * i for i, word in enumerate(_TENS)}
_WORD = "|".join((*sorted(_WORTH, key=len, reverse=True), "hundred", *_SCALES))

NUMBER_WORDS = rf"\b(?:{_WORD})(?:(?:[ -]|\s{{1,4}}and\s{{1,4}})(?:{_WORD})){{0,15}}\b"
"""A pattern that finds them, to be used without regard to case."""


def worth_of(words: str) -> int | None:
    """The value of a number in words, such as 1250 for "one thousand two hundred and fifty"; None for other texts."""
    if not re.fullmatch(NUMBER_WORDS, words, re.IGNORECASE):
        return None
    whole = part = 0
    for word in re.findall(_WORD, words.lower()):
        if word == "hundred":
            part = max(part, 1) * 100
        elif word in _SCALES:
            whole, part = whole + max(part, 1) * _SCALES[word], 0
        else:
            part += _WORTH[word]
    return whole + part
