"""A run as a person sees it: attempts, tool calls, scores, critiques and the decision, as they come."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from reagent_sdk.cli.progress import Working
from reagent_sdk.cli.terminal import clean, one_line, score_text
from reagent_sdk.events import (
    AttemptJudged,
    AttemptSolved,
    AttemptStarted,
    Event,
    PromptProgress,
    Retrying,
    RunFinished,
    TextDelta,
)
from reagent_sdk.messages import Message
from reagent_sdk.run import Run
from reagent_sdk.trajectory import AgentStop, Trajectory
from reagent_sdk.verdict import Verdict

_MAX_CHARS = 600
_MAX_LINES = 8
_MAX_TOOLS = 12


class RunView:
    """Prints what happens in a run. What is final scrolls by; what moves is redrawn below it on a live terminal.

    Args:
        console: where to print.
        live: whether to draw the moving part.
        notes: whether to print the notes of a finished run.
    """

    def __init__(self, console: Console, *, live: bool, notes: bool = True) -> None:
        self._console = console
        self._working = Working()
        self._notes = notes
        self._live = (
            Live(
                self._working,
                console=console,
                transient=True,
                refresh_per_second=10,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            if live
            else None
        )

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, event: Event) -> None:
        """Takes the next event of the run."""
        match event:
            case AttemptStarted():
                self._console.print(Text(_heading(event), style="bold"))
                self._working.begin("the agent")
            case PromptProgress():
                self._working.read(event.done, event.total)
            case TextDelta():
                self._working.write(event.text)
            case Retrying():
                self._row("retry", Text(f"in {event.wait:.1f} s: {one_line(event.reason)}", style="yellow"))
            case AttemptSolved():
                self._solved(event.trajectory)
                self._working.begin("the judge")
            case AttemptJudged():
                self._working.begin("")
                self._judged(event.verdict)
            case RunFinished():
                self._finished(event.run)

    def _solved(self, trajectory: Trajectory) -> None:
        for label, line in tool_lines(trajectory.messages):
            self._row(label, Text(line))
        self._row("draft", Text(shortened(trajectory.answer), style="dim"))
        used = trajectory.usage
        told = [f"{used.completion_tokens} tokens"] if used.completion_tokens else []
        told += [f"{used.seconds:.1f} s"] if used.seconds else []
        told += ["cut off by the token limit"] if trajectory.stop is AgentStop.TRUNCATED else []
        if told:
            self._row("", Text(f"({', '.join(told)})", style="dim"))

    def _judged(self, verdict: Verdict) -> None:
        for label, value in verdict_rows(verdict):
            self._row(label, value)

    def _finished(self, run: Run) -> None:
        self._row("decision", Text(clean(run.why), style="bold"))
        for note in run.notes if self._notes else ():
            self._row("note", Text(clean(note), style="yellow"))

    def _row(self, label: str, value: Text) -> None:
        self._console.print(row(label, value))


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
    if verdict.critique:
        rows.append(("critique", Text(clean(verdict.critique) if whole else shortened(verdict.critique))))
    return rows


def tool_lines(messages: tuple[Message, ...], *, limit: int = _MAX_TOOLS) -> list[tuple[str, str]]:
    """Tool calls and results of an attempt, a line each."""
    lines: list[tuple[str, str]] = []
    for message in messages:
        calls = message.tool_calls or ()
        lines += [("tool", f"{one_line(call.name, 40)}({one_line(call.arguments_text, 80)})") for call in calls]
        if message.role == "tool":
            lines.append(("result", one_line(message.text, 80) or "(empty)"))
    if len(lines) > limit:
        lines = [*lines[:limit], ("", f"... and {len(lines) - limit} more lines of tool calls and results")]
    return lines


def shortened(text: str, *, chars: int = _MAX_CHARS, lines: int = _MAX_LINES) -> str:
    """The beginning of a cleaned text, and how much more there is."""
    whole = clean(text).strip()
    begin = "\n".join(whole[:chars].splitlines()[:lines])
    rest = len(whole) - len(begin)
    return f"{begin} ... ({rest} more characters)" if rest > 0 else whole


def _heading(event: AttemptStarted) -> str:
    return f"Attempt {event.index + 1}" + ("" if event.feedback is None else ": revised after the critique")
