"""`reagent runs`: what the run log holds."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reagent_sdk.cli.exits import warn
from reagent_sdk.cli.options import JsonOption, LogOption, log_path
from reagent_sdk.cli.terminal import console, one_line, to_stderr, write_json

if TYPE_CHECKING:
    from rich.table import Table

    from reagent_sdk.record import RunLog
    from reagent_sdk.record_line import DamagedRecord
    from reagent_sdk.run import Run

ID_SHOWN = 8
_DAMAGE_SHOWN = 5

LIST_EXAMPLES = """\b
Examples:
  reagent runs list
  reagent runs list --limit 5 --json | jq .question
"""
SHOW_EXAMPLES = """\b
Examples:
  reagent runs show 3f2a
  reagent runs show 3f2a --analysis
  reagent runs show 3f2a --json | jq '.attempts[0].verdict'
"""


def list_runs(
    log: LogOption = None,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="The latest N runs.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """List the latest runs of the run log, the last one first. With --json, one run a line."""
    from reagent_sdk.record import RunLog

    record = RunLog(log_path(log))
    runs, damaged = _latest(record, limit)
    if as_json:
        for run in runs:
            write_json(summary(run))
    elif runs:
        screen = console()
        screen.print(_table(runs, screen.width))
    else:
        to_stderr(f"there are no runs in {record.path}; `reagent ask` or `reagent demo` adds some")
    report_damage(damaged, len(damaged))


def show_run(
    run_id: Annotated[str, typer.Argument(metavar="ID", help="The run's id, or its first characters.")],
    log: LogOption = None,
    analysis: Annotated[
        bool, typer.Option("--analysis", help="Also what the judge wrote for itself; agents never see it.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show one run: question, attempts with scores and critiques, decision, usage and notes."""
    from reagent_sdk.record import RunLog

    run = RunLog(log_path(log)).get(run_id)
    if as_json:
        write_json(run if analysis else _without_analysis(run))
        return
    from reagent_sdk.cli.run_page import print_run

    print_run(console(), run, analysis=analysis)


def report_damage(first: Sequence[DamagedRecord], count: int) -> None:
    """Tells of lines of the log that could not be read.

    Args:
        first: the first of them.
        count: how many there are.
    """
    if not count:
        return
    warn(f"{count} damaged {'record was' if count == 1 else 'records were'} skipped")
    for one in first[:_DAMAGE_SHOWN]:
        to_stderr(f"  line {one.line}: {'torn: ' if one.torn else ''}{one_line(one.reason)}")
    if count > _DAMAGE_SHOWN:
        to_stderr(f"  and {count - _DAMAGE_SHOWN} more")


def summary(run: Run) -> dict[str, Any]:
    """One run in a few fields."""
    return {
        "id": run.id,
        "started_at": run.started_at,
        "question": run.task.question,
        "attempts": len(run.attempts),
        "scores": [attempt.score for attempt in run.attempts],
        "chosen": run.chosen,
        "stop": run.stop,
        "seconds": round(run.seconds, 3),
        "judge": run.judge,
    }


def scores_of(run: Run) -> str:
    """The scores of a run's attempts, in order."""
    return ", ".join("none" if attempt.score is None else f"{attempt.score:.2f}" for attempt in run.attempts)


def _latest(record: RunLog, limit: int) -> tuple[list[Run], list[DamagedRecord]]:
    from reagent_sdk.run import Run

    runs: deque[Run] = deque(maxlen=limit)
    damaged: list[DamagedRecord] = []
    for one in record.scan():
        if isinstance(one, Run):
            runs.append(one)
        else:
            damaged.append(one)
    return list(reversed(runs)), damaged


def _table(runs: list[Run], width: int) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    numbers = {"chosen", "seconds", "attempts"}
    for name in ("id", "when", "question", "attempts", "scores", "chosen", "stop", "seconds"):
        wraps = name in ("question", "scores")
        table.add_column(name, justify="right" if name in numbers else "left", no_wrap=not wraps)
    for run in runs:
        cells = (
            run.id[:ID_SHOWN],
            f"{run.started_at.astimezone():%m-%d %H:%M}",
            one_line(run.task.question, max(16, 2 * (width - 72))),
            str(len(run.attempts)),
            scores_of(run),
            "-" if run.chosen is None else str(run.chosen + 1),
            run.stop.value,
            f"{run.seconds:.1f}",
        )
        table.add_row(*(Text(cell) for cell in cells))
    return table


def _without_analysis(run: Run) -> dict[str, Any]:
    data = run.model_dump()
    for attempt in data["attempts"]:
        if attempt["verdict"]:
            del attempt["verdict"]["analysis"], attempt["verdict"]["raw"]
    return data
