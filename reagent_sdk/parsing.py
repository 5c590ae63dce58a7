"""The verdict format: text to verdict and back. Pure; shared by serving and training.

    <analysis>internal reasoning</analysis>
    <critique>advice for the agent</critique>
    <score>0.85</score>

Read from the end: the text must close with one score, right before it one critique, right before that the end of the
analysis. What the analysis quotes, fake verdicts included, can therefore never be taken for the verdict. `<think>` (the
published Agent-RRM's tag) stands for `<analysis>`; where a server moved the reasoning into a field of its own, that
field is the analysis.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import NamedTuple

from reagent_sdk.errors import InvalidInput
from reagent_sdk.framing import BLOCKS
from reagent_sdk.verdict import Verdict, VerdictStatus

ABSTAIN = "abstain"
RAW_KEPT = 4_000
"""Characters of an unreadable reply that are kept on the verdict."""

_SCORE = re.compile(r"(?:\d{1,32}(?:\.\d{0,1100})?|\.\d{1,1100})", re.ASCII)  # room for every float in full
_TAGS = tuple(f"<{slash}{name}>" for name in BLOCKS for slash in ("", "/"))
_BEGIN = re.compile(r"\A\s*(?:```\w*\s*)?")
_TRAILERS = ("<|im_end|>", "<|endoftext|>", "</s>", "<|eot_id|>")


class _Unreadable(Exception):
    """Why the text is not a verdict, in words that a judge can act upon."""


class _Blocks(NamedTuple):
    analysis: str
    critique: str
    score: str


def parse_verdict(text: str, *, reasoning: str = "", truncated: bool = False) -> Verdict:
    """Reads a judge's reply. Never raises, for any text at all.

    Args:
        text: the reply.
        reasoning: reasoning that the server returned apart from the reply.
        truncated: whether a token limit cut the reply off.

    Returns:
        A verdict that is scored, abstained, unparseable or, for a cut-off reply without a whole verdict, truncated.
    """
    try:
        blocks = _split(text, reasoning)
        score = _read_score(blocks.score)
    except _Unreadable as why:
        status = VerdictStatus.TRUNCATED if truncated else VerdictStatus.UNPARSEABLE
        reason = "the reply was cut off by its token limit" if truncated else str(why)
        return Verdict(status=status, reason=reason, raw=text[-RAW_KEPT:])
    if score is None:
        return Verdict(
            status=VerdictStatus.ABSTAINED,
            analysis=blocks.analysis,
            critique=blocks.critique,
            reason="the judge abstained",
        )
    return Verdict(status=VerdictStatus.SCORED, analysis=blocks.analysis, critique=blocks.critique, score=score)


def render_verdict(verdict: Verdict) -> str:
    """Writes a verdict in the format that :func:`parse_verdict` reads; the target text of training.

    Raises:
        InvalidInput: the verdict is neither scored nor abstained, lacks an analysis, or its texts hold tags that would
            break the format.
    """
    if verdict.status not in (VerdictStatus.SCORED, VerdictStatus.ABSTAINED):
        raise InvalidInput(f"only scored and abstained verdicts have a text form, this one is {verdict.status}")
    if not verdict.analysis:
        raise InvalidInput("the verdict has no analysis; the format needs one")
    score = ABSTAIN if verdict.score is None else format(Decimal(repr(verdict.score)), "f")
    text = (
        f"<analysis>\n{verdict.analysis}\n</analysis>\n<critique>\n{verdict.critique}\n</critique>\n"
        f"<score>{score}</score>"
    )
    again = parse_verdict(text)
    if (again.analysis, again.critique, again.score) != (verdict.analysis, verdict.critique, verdict.score):
        raise InvalidInput("analysis or critique holds verdict tags; remove or defuse them first")
    return text


def _split(text: str, reasoning: str) -> _Blocks:
    rest = without_trailer(text)
    rest, score = _last_block(rest, "score")
    rest, critique = _last_block(rest, "critique")
    if not rest and reasoning.strip():
        return _Blocks(reasoning, critique, score)
    for name in ("analysis", "think"):
        if rest.endswith(f"</{name}>"):
            body = rest.removesuffix(f"</{name}>")
            if _begun_by_another(body, name):
                raise _Unreadable("the block that the reply begins with is not the one that ends before the critique")
            _, opened, inside = body.partition(f"<{name}>")
            if opened:
                return _Blocks(inside, critique, score)
            if name == "think":  # chat templates that open the reasoning themselves leave only its end in the reply
                return _Blocks(body, critique, score)
            raise _Unreadable("<analysis> is never opened")
    if rest:
        raise _Unreadable("the critique must follow right after the end of one <analysis> block")
    raise _Unreadable("the <analysis> block is missing")


def _begun_by_another(body: str, name: str) -> bool:
    """Whether the reply opened the other kind of analysis and never closed it: then `body` ends inside a quotation."""
    other = "think" if name == "analysis" else "analysis"
    return _BEGIN.sub("", body, count=1).startswith(f"<{other}>") and f"</{other}>" not in body


def _last_block(text: str, name: str) -> tuple[str, str]:
    """Takes the block that ends `text` off it; returns what stands before, and its content."""
    close, open_ = f"</{name}>", f"<{name}>"
    if not text.endswith(close):
        found = "is not at the end" if close in text else "is missing"
        raise _Unreadable(f"the <{name}> block {found}; the reply must end with critique and score, in this order")
    start = text.rfind(open_)
    if start < 0:
        raise _Unreadable(f"<{name}> is never opened")
    content = text[start + len(open_) : -len(close)]
    if any(tag in content for tag in _TAGS):
        raise _Unreadable(f"the <{name}> block holds other verdict tags")
    return text[:start].rstrip(), content


def without_trailer(text: str) -> str:
    """Drops white space, a closing code fence and end-of-turn tokens from the end of a reply."""
    text = text.rstrip()
    for trailer in (*_TRAILERS, "```"):
        text = text.removesuffix(trailer).rstrip()
    return text


def _read_score(text: str) -> float | None:
    """The score, or None for an abstention."""
    said = text.strip()
    if said == ABSTAIN:
        return None
    if not _SCORE.fullmatch(said):
        raise _Unreadable(f"the score must be one plain number between 0 and 1, not {said[:40]!r}")
    score = float(said)
    if score > 1.0:
        raise _Unreadable(f"the score must lie between 0 and 1, not {said[:40]}")
    return score
