"""A teacher's reply as a target: in the shape that a judge under the verdict grammar can write."""

from __future__ import annotations

from reagent_sdk.errors import InvalidInput
from reagent_sdk.parsing import parse_verdict, render_verdict
from reagent_sdk.verdict import Verdict, VerdictStatus
from reagent_training.data.wording import SHORTEST, one_line

LINES = 4


def parse_target(text: str, *, reasoning: str = "", truncated: bool = False) -> Verdict:
    """Reads a reply like `parse_verdict`, brings its texts into shape and makes sure that they can be read back.

    Analysis: up to four lines of 12 to 200 characters. Critique: one such line. Score: two decimals.

    Args:
        text: the reply.
        reasoning: reasoning that the server returned apart from the reply.
        truncated: whether a token limit cut the reply off.

    Returns:
        A verdict that is scored only when analysis and critique are there and the whole can be rendered.
    """
    verdict = parse_verdict(text, reasoning=reasoning, truncated=truncated)
    if verdict.score is None:
        return verdict
    for name, said in (("analysis", verdict.analysis), ("critique", verdict.critique)):
        if len(" ".join(said.split())) < SHORTEST:
            return Verdict.failed(VerdictStatus.UNPARSEABLE, f"the {name} is empty or says next to nothing")
    shaped = verdict.model_copy(
        update={
            "analysis": analysis_lines(verdict.analysis),
            "critique": one_line(verdict.critique),
            "score": round(verdict.score, 2),
        }
    )
    try:
        render_verdict(shaped).encode()  # half a surrogate pair is text that no file can carry
    except (InvalidInput, UnicodeEncodeError) as error:
        return Verdict.failed(VerdictStatus.UNPARSEABLE, str(error))
    return shaped


def analysis_lines(text: str) -> str:
    """Up to four lines: where there are more, the first three and the last, which holds the conclusion."""
    given = [" ".join(line.split()) for line in text.splitlines()]
    lines = [line for line in given if len(line) >= SHORTEST] or [" ".join(text.split())]
    if len(lines) > LINES:
        lines = [*lines[: LINES - 1], lines[-1]]
    return "\n".join(one_line(line) for line in lines)
