"""Labelled lines: the parts of an attempt as they are shown live and on paper."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from reagent_sdk.cli.terminal import clean, one_line, score_text
from reagent_sdk.messages import Message, ToolCall
from reagent_sdk.step_labels import WORDS
from reagent_sdk.verdict import Verdict

_MAX_CHARS = 600
_MAX_LINES = 8
_MAX_TOOLS = 12
_WORDS = {label: word for word, label in WORDS.items()}


def row(label: str, value: Text) -> Table:
    """One labelled line; a long value wraps under itself."""
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=10, no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(Text(f"  {label}", style="cyan"), value)
    return grid


def verdict_rows(verdict: Verdict, *, whole: bool = False) -> list[tuple[str, Text]]:
    """Score and critique of a verdict, or why there is none."""
    if verdict.score is None:
        reason = clean(verdict.reason) if whole else one_line(verdict.reason)
        return [("verdict", Text(f"{verdict.status}: {reason}", style="yellow"))]
    rows = [("score", score_text(verdict.score))]
    if verdict.scores:
        each = ", ".join(f"{score:.2f}" for score in verdict.scores)
        rows.append(("", Text(f"of {each}: spread {verdict.spread:.2f}", style="dim")))
    if verdict.bare_score is not None:
        rows.append(("", Text(f"the judge itself said {verdict.bare_score:.2f}", style="dim")))
    if verdict.critique:
        rows.append(("critique", Text(clean(verdict.critique) if whole else shortened(verdict.critique))))
    if verdict.steps:
        rows.append(("steps", Text(", ".join(f"{one.step} {_WORDS[one.label]}" for one in verdict.steps))))
    if verdict.steps_reason:
        rows.append(("steps", Text(f"not labelled: {one_line(verdict.steps_reason)}", style="yellow")))
    if verdict.leaks:
        rows.append(("leaks", Text("the critique gives an answer away", style="yellow")))
    return rows


def tool_lines(messages: tuple[Message, ...], *, limit: int = _MAX_TOOLS) -> list[tuple[str, str]]:
    """Tool calls and results of an attempt, a line each."""
    lines: list[tuple[str, str]] = []
    for message in messages:
        lines += [("tool", call_line(call)) for call in message.tool_calls or ()]
        if message.role == "tool":
            lines.append(("result", result_line(message.text)))
    if len(lines) > limit:
        lines = [*lines[:limit], ("", f"... and {len(lines) - limit} more lines of tool calls and results")]
    return lines


def shortened(text: str, *, chars: int = _MAX_CHARS, lines: int = _MAX_LINES) -> str:
    """The beginning of a cleaned text, and how much more there is."""
    whole = clean(text).strip()
    begin = "\n".join(whole[:chars].splitlines()[:lines])
    rest = len(whole) - len(begin)
    return f"{begin} ... ({rest} more characters)" if rest > 0 else whole


def call_line(call: ToolCall) -> str:
    """A tool call in one line."""
    return f"{one_line(call.name, 40)}({one_line(call.arguments_text, 80)})"


def result_line(text: str, error: str | None = None) -> str:
    """What a tool gave back, in one line."""
    return (f"{one_line(error, 40)}: " if error else "") + (one_line(text, 80) or "(empty)")
