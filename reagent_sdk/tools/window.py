"""Keeps a conversation within the model's window: the oldest tool results give way first, and the text says so."""

from __future__ import annotations

from collections.abc import Sequence

from reagent_sdk.messages import Message

KEPT_HEAD = 200
"""Characters of a left-out result that stay, so that the model still knows what it was."""


def size(messages: Sequence[Message]) -> int:
    """Characters of a conversation, tool calls included."""
    return sum(len(m.text) + sum(len(call.arguments_text) for call in m.tool_calls or ()) + 16 for m in messages)


def fit(messages: Sequence[Message], max_chars: int, *, keep_last: int = 2) -> list[Message]:
    """A copy that fits into `max_chars`, as far as leaving out tool results can make it fit.

    Args:
        messages: the whole conversation; it is not changed.
        max_chars: room in characters.
        keep_last: how many of the latest tool results stay whole.
    """
    fitted = list(messages)
    excess = size(fitted) - max_chars
    results = [index for index, message in enumerate(fitted) if message.role == "tool"]
    for index in results[: max(0, len(results) - keep_last)]:
        if excess <= 0:
            break
        text = fitted[index].text
        left_out = len(text) - KEPT_HEAD
        if left_out > 100:  # less would not pay for the mark
            short = f"{text[:KEPT_HEAD]}\n[... {left_out} characters of this old result left out to save room ...]"
            fitted[index] = fitted[index].model_copy(update={"content": short})
            excess -= len(text) - len(short)
    return fitted
