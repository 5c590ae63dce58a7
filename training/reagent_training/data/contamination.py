"""Questions of evaluation sets, found again in training data by 13 words in a row."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from reagent_sdk.errors import InvalidInput
from reagent_training.data import jsonl, parquet
from reagent_training.data.files import is_parquet

WINDOW = 13
_SHORTEST = 5
"""Questions below this many words are compared as a whole: in a row they occur anywhere."""
_KEYS = ("question", "query", "problem", "input", "prompt", "instruction")
_FORMULAIC = 0.02
"""Word rows in more than this share of the evaluation's questions (and in more than two) are formula, not question."""

_Gram = tuple[str, ...]


class Contamination:
    """Tells whether a question shares 13 words in a row with one of an evaluation set.

    A question of 5 to 12 words counts when it stands whole in the other; a shorter one when it is the other. Rows of
    words that many of the evaluation's questions share ("answer the following question ...") do not count.

    Args:
        questions: of the evaluation sets.
    """

    def __init__(self, questions: Iterable[str]) -> None:
        self._whole: set[_Gram] = set()
        self._grams: dict[int, set[_Gram]] = {}
        distinct = {_words(question) for question in questions} - {()}
        self.questions = len(distinct)
        counts = Counter(gram for words in distinct for gram in set(_rows(words, WINDOW)))
        often = max(2, _FORMULAIC * len(distinct))
        for words in distinct:
            if len(words) < _SHORTEST:
                self._whole.add(words)
            elif len(words) < WINDOW:
                self._grams.setdefault(len(words), set()).add(words)
        self._grams[WINDOW] = {gram for gram, count in counts.items() if count <= often}

    def holds(self, question: str) -> bool:
        """Whether a question, or a part of it, is in the evaluation sets."""
        words = _words(question)
        if words in self._whole:
            return True
        return any(gram in grams for size, grams in self._grams.items() for gram in _rows(words, size))


def read_questions(path: Path) -> Iterator[str]:
    """The questions of any JSONL or Parquet file: labelled trajectories, or rows with a text under a usual name.

    Raises:
        InvalidInput: the file cannot be read, or a row has no question.
    """
    rows = parquet.read_rows(path) if is_parquet(path) else jsonl.read_objects(path)
    for number, row in rows:
        question = _question(row)
        if question is None:
            raise InvalidInput(f"{path}, row {number}: no question under any of {', '.join(_KEYS)} or in a task")
        yield question


def _question(row: Mapping[str, Any]) -> str | None:
    task = row.get("task")
    places = (task.get("question") if isinstance(task, dict) else None, *(row.get(key) for key in (*_KEYS, "messages")))
    return next((text for place in places if (text := _asked(place)) is not None), None)


def _asked(value: object) -> str | None:
    """A text, or what the user says first in a chat, in lists of any depth."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        said = value.get("content")
        return said if value.get("role") == "user" and isinstance(said, str) else None
    if isinstance(value, list):
        return next((text for one in value if (text := _asked(one)) is not None), None)
    return None


def _words(text: str) -> _Gram:
    return tuple(re.findall(r"\w+", text.casefold()))


def _rows(words: _Gram, size: int) -> Iterator[_Gram]:
    return (words[start : start + size] for start in range(len(words) - size + 1))
