"""A run as a person sees it: attempts, tool calls, scores, critiques and the decision, as they come."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from reagent_sdk.cli.progress import Working
from reagent_sdk.cli.rows import call_line, result_line, row, shortened, tool_lines, verdict_rows
from reagent_sdk.cli.terminal import clean, one_line
from reagent_sdk.events import (
    AttemptJudged,
    AttemptSolved,
    AttemptStarted,
    Event,
    PromptProgress,
    Retrying,
    RunFinished,
    TextDelta,
    ToolCalled,
    ToolReturned,
)
from reagent_sdk.run import Run
from reagent_sdk.trajectory import AgentStop, Trajectory
from reagent_sdk.verdict import Verdict


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
        self._tools_seen = False
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
                self._tools_seen = False
            case PromptProgress():
                self._working.read(event.done, event.total)
            case TextDelta():
                self._working.write(event.text)
            case Retrying():
                self._row("retry", Text(f"in {event.wait:.1f} s: {one_line(event.reason)}", style="yellow"))
            case ToolCalled():
                self._tools_seen = True
                self._row("tool", Text(call_line(event.call)))
            case ToolReturned():
                self._row("result", Text(result_line(event.text, event.error)))
            case AttemptSolved():
                self._solved(event.trajectory)
                self._working.begin("the judge")
            case AttemptJudged():
                self._working.begin("")
                self._judged(event.verdict)
            case RunFinished():
                self._finished(event.run)

    def _solved(self, trajectory: Trajectory) -> None:
        for label, line in () if self._tools_seen else tool_lines(trajectory.messages):
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


def _heading(event: AttemptStarted) -> str:
    return f"Attempt {event.index + 1}" + ("" if event.feedback is None else ": revised after the critique")
