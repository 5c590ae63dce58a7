"""Keeps a conversation within the model's window: the oldest tool results give way first, and the text says so."""

from __future__ import annotations

from collections.abc import Sequence

from reagent_sdk.messages import Message

KEPT_HEAD = 200
"""Characters of a left-out result that stay, so that the model still knows what it was."""
LATEST = 2
"""How many results are the latest ones, which stay whole as long as anything else can give way."""
_MARK = 100
"""Room for the words that stand for what is left out, and a bit."""


def size(messages: Sequence[Message]) -> int:
    """Characters of a conversation, tool calls included."""
    return sum(len(m.text) + sum(len(call.arguments_text) for call in m.tool_calls or ()) + 16 for m in messages)


def fit(messages: Sequence[Message], max_chars: int, *, keep_last: int = LATEST) -> list[Message]:
    """A copy that fits into `max_chars`, as far as leaving out tool results can make it fit.

    Old results are cut to their beginning, so that what is sent stays the same from step to step. The latest ones,
    where they may be cut at all, lose no more than they have to.

    Args:
        messages: the whole conversation; it is not changed.
        max_chars: room in characters.
        keep_last: how many of the latest tool results stay whole.
    """
    fitted = list(messages)
    excess = size(fitted) - max_chars
    results = [index for index, message in enumerate(fitted) if message.role == "tool"]
    latest = results[-LATEST:]
    for index in results[: max(0, len(results) - keep_last)]:
        if excess <= 0:
            break
        text = fitted[index].text
        head = max(KEPT_HEAD, len(text) - max(excess + _MARK, 2 * _MARK)) if index in latest else KEPT_HEAD
        left_out = len(text) - head
        if left_out > _MARK:  # less would not pay for the mark
            short = f"{text[:head]}\n[... {left_out} characters of this result left out to save room ...]"
            fitted[index] = fitted[index].model_copy(update={"content": short})
            excess -= len(text) - len(short)
    return fitted


def fit_below(messages: Sequence[Message], max_chars: int, below: int) -> list[Message] | None:
    """A copy of less than `below` characters, in which as many of the latest results as possible stay whole.

    None when there is nothing left to leave out. Asked again with the size of what it gave, it comes to that end.
    """
    copies = (fit(messages, max_chars, keep_last=kept) for kept in range(LATEST, -1, -1))
    return next((one for one in copies if size(one) < below), None)
