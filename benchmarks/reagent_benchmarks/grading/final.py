r"""The part of a reply that is its answer.

The last mark decides: `Answer: ...`, `\boxed{...}`, `<answer>...`, a closing `#### ...`. Without one, "the answer is
...", else the last line. Exactly one candidate comes out, so that naming several in different places earns nothing.
"""

from __future__ import annotations

import re

_LONGEST = 50_000
"""Characters at the end of a reply that are looked at."""

_ANSWER = re.compile(r"\banswer[\s*_]{0,4}(?:is[\s*_]{0,4})?[:=]|<answer>", re.IGNORECASE)
_BOXED = re.compile(r"\\f?box(?:ed)?\s?\{")
_HASHES = re.compile(r"^####[ \t]*(\S[^\n]*)\Z", re.MULTILINE)
_SAYS = re.compile(r"\banswer is[ \t]{1,4}(?=\S)", re.IGNORECASE)
_THOUGHT = re.compile(r"<(/?)think(?:ing)?>", re.IGNORECASE)
_HOPE = re.compile(r"\s{0,4}I hope (?:it|this) is correct\.?\s{0,4}\Z", re.IGNORECASE)
_WRAPPED = re.compile(r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mbox|operatorname)\s?\{([^{}]{0,2000})\}")
_PAIRS = (("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"), ("__", "__"), ("_", "_"))


def final_answer(reply: str, *, cut_off: bool = False) -> str:
    """What a reply answers, in one line and without dressing; empty when it states nothing.

    Args:
        reply: the whole reply. What stands before the end of a `<think>` block does not count.
        cut_off: only a marked answer counts, and only if it was finished: its box is closed, its line has ended.
    """
    reply = _after_thought(reply[-_LONGEST:])
    marks = [found.end() for found in _ANSWER.finditer(reply)]
    boxes = [found.end() for found in _BOXED.finditer(reply)]
    if boxes and boxes[-1] > max(marks, default=-1):
        return bare(" ".join(_boxed(reply[boxes[-1] :]).split()))
    if marks:
        return _line_after(reply[marks[-1] :], cut_off=cut_off)
    if cut_off:
        return ""
    reply = reply.strip()
    if hashes := _HASHES.search(reply):
        return bare(hashes[1])
    if says := [found.end() for found in _SAYS.finditer(reply)]:
        return _line_after(reply[says[-1] :], cut_off=False)
    return next((bared for line in reversed(reply.splitlines()) if (bared := bare(line))), "")


def bare(text: str) -> str:
    """A text without white space, markdown and dollar signs around it."""
    text = text.strip().strip("*`").strip()
    if text.endswith((r"$.", r"\).", r"\].")):
        text = text[:-1]
    for opening, closing in _PAIRS:
        inner = text[len(opening) : -len(closing)]
        if len(text) > len(opening + closing) and text == f"{opening}{inner}{closing}" and opening not in inner:
            return inner.strip()
    return text


def plain(text: str) -> str:
    r"""A text without the wrappings of LaTeX, such as `\text{...}`, and its escapes of signs and spaces."""
    for _ in range(3):
        text = _WRAPPED.sub(r"\1", text)
    return bare(re.sub(r"\\([$%#&_ ])", r"\1", text).replace("~", " "))


def _after_thought(reply: str) -> str:
    thoughts = list(_THOUGHT.finditer(reply))
    if not thoughts:
        return reply
    return reply[thoughts[-1].end() :] if thoughts[-1][1] else ""  # still thinking: nothing is answered yet


def _boxed(text: str) -> str:
    """What stands before the brace that closes a box; empty when none does."""
    depth, escaped = 1, False
    for place, char in enumerate(text):
        if escaped or char == "\\":
            escaped = not escaped
            continue
        depth += (char == "{") - (char == "}")
        if depth == 0:
            return text[:place]
    return ""


def _line_after(text: str, *, cut_off: bool) -> str:
    """The first line that holds something, up to a closing tag."""
    for line in text.splitlines(keepends=True):
        told, closing, _ = re.split(r"(</answer>|\Z)", line, maxsplit=1, flags=re.IGNORECASE)
        if told_bare := bare(_HOPE.sub("", told)):
            return told_bare if closing or line != line.rstrip("\r\n") or not cut_off else ""
        if closing:
            return ""
    return ""
