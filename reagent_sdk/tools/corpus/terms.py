"""The words of a text as the full-text index sees them, and queries that cannot be malformed."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from itertools import pairwise

MAX_TERMS = 48
_MAX_QUERY = 4_000

# Scripts written without blanks. SQLite's tokenizer takes a run of them for one word, so each letter is made a word.
_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_LETTER = re.compile(f"([{_UNSPACED}])")
_RUN = re.compile(f"[{_UNSPACED}]+|[^{_UNSPACED}]+")

# They are in nearly every passage: they hardly change the ranking, and most of the time would be spent on them.
_COMMON = set(
    """
    a an and are as at be been but by did do does for from had has have he her his how if in into is it its of on or
    she so than that the their then there these they this to was were what when where which while who whom whose why
    will with would
    """.split()  # noqa: SIM905 - readable as text
)


def indexed(text: str) -> str:
    """A text in the form in which it goes into the index."""
    text = unicodedata.normalize("NFKC", text)
    return text if text.isascii() else _LETTER.sub(r" \1 ", text)


def match_expression(query: str) -> str | None:
    """A query in FTS5's language that asks for any of the words; None when there are no words.

    Only letters and digits of the query are left, each word in quotation marks: nothing in it can be an operator, and
    no syntax error is possible.
    """
    phrases = list(dict.fromkeys(_phrases(query)))
    return " OR ".join(f'"{phrase}"' for phrase in phrases[:MAX_TERMS]) or None


def words_of(query: str) -> list[str]:
    """The words of a query that matter, in lower case, without repetition."""
    text = unicodedata.normalize("NFKC", query[:_MAX_QUERY]).casefold()
    kept = (letter if letter.isalnum() or unicodedata.category(letter)[0] == "M" else " " for letter in text)
    words = list(dict.fromkeys("".join(kept).split()))
    return [word for word in words if word not in _COMMON] or words


def _phrases(query: str) -> Iterator[str]:
    for word in words_of(query):
        for run in _RUN.findall(word):
            if not _LETTER.match(run) or len(run) == 1:
                yield run
            else:  # neighbouring letters in pairs, which is how words of such scripts are found without a dictionary
                yield from (f"{one} {two}" for one, two in pairwise(run))
