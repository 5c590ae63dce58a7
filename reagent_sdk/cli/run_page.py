"""A whole run on paper, for `reagent runs show`."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from reagent_sdk.cli.rows import row, tool_lines, verdict_rows
from reagent_sdk.cli.terminal import clean, one_line
from reagent_sdk.run import Attempt, Run

_WHOLE = 1_000_000


def print_run(screen: Console, run: Run, *, analysis: bool) -> None:
    """Prints all of a run; the judge's analysis only when asked for."""
    screen.print(Text(f"Run {run.id}", style="bold"))
    rows = [
        ("when", f"{run.started_at.astimezone():%Y-%m-%d %H:%M:%S %Z}, {run.seconds:.1f} s"),
        ("judge", one_line(run.judge)),
        ("policy", _policy(run)),
        ("status", run.status.value),
        ("question", clean(run.task.question).strip()),
    ]
    for label, text in rows:
        screen.print(row(label, Text(text)))
    for attempt in run.attempts:
        _print_attempt(screen, attempt, chosen=attempt.index == run.chosen, analysis=analysis)
    screen.print()
    screen.print(row("decision", Text(clean(run.why) or f"stopped: {run.stop}", style="bold")))
    screen.print(row("usage", Text(f"{run.usage}, {run.usage.retries} retries")))
    for note in run.notes:
        screen.print(row("note", Text(clean(note), style="yellow")))


def _print_attempt(screen: Console, attempt: Attempt, *, chosen: bool, analysis: bool) -> None:
    screen.print()
    screen.print(Text(f"Attempt {attempt.index + 1}{', chosen' if chosen else ''}", style="bold"))
    for label, line in tool_lines(attempt.trajectory.messages, limit=_WHOLE):
        screen.print(row(label, Text(line)))
    stop = attempt.trajectory.stop
    screen.print(row("answer", Text(clean(attempt.answer).strip())))
    if stop != "completed":
        screen.print(row("stopped", Text(stop.value)))
    verdict = attempt.verdict
    if verdict is None:
        screen.print(row("verdict", Text("not judged", style="dim")))
        return
    for label, value in verdict_rows(verdict, whole=True):
        screen.print(row(label, value))
    if verdict.omitted_chars:
        screen.print(row("", Text(f"the judge read it without {verdict.omitted_chars} characters that did not fit")))
    if analysis and verdict.analysis:
        screen.print(row("analysis", Text(clean(verdict.analysis), style="dim")))
    if analysis and verdict.raw:
        screen.print(row("raw", Text(clean(verdict.raw), style="dim")))


def _policy(run: Run) -> str:
    accept = "never" if run.threshold is None else f"at {run.threshold:.2f}"
    revisions = "1 revision" if run.policy.rounds == 1 else f"{run.policy.rounds} revisions"
    marks = "" if run.revise_below is None else f", revises below {run.revise_below:.2f}"
    marks += "" if run.floor is None else f", abstains below {run.floor:.2f}"
    return f"{revisions} at most, accepts early {accept}{marks}, keeps the {run.policy.keep}"
