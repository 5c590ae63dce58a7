"""The part of a passage that is shown with a hit."""

from __future__ import annotations

import re

from reagent_sdk.tools.corpus.terms import words_of


def around(text: str, query: str, limit: int) -> str:
    """The passage, or the part of it that holds the most different words of the query."""
    if len(text) <= limit:
        return text
    # A little text before the first word shows what it is about.
    start = max(0, min(_densest(text, query, limit - limit // 4) - limit // 4, len(text) - limit))
    start = text.rfind(" ", 0, start) + 1
    cut = text[start : start + limit]
    return ("…" if start else "") + cut + ("…" if start + limit < len(text) else "")


def _densest(text: str, query: str, width: int) -> int:
    """Where the stretch begins that has the most words of the query; the first one among equals."""
    pattern = "|".join(rf"\b{re.escape(word)}" for word in words_of(query))
    found = [(match.start(), match[0].lower()) for match in re.finditer(pattern, text, re.IGNORECASE)]
    return max(
        (place for place, _ in found),
        key=lambda place: len({word for other, word in found if place <= other < place + width}),
        default=0,
    )
