"""`reagent runs export`: the run log as training rows, ATIF documents or OpenTelemetry traces."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reagent_sdk.cli.options import LogOption, log_path, unwritable
from reagent_sdk.cli.runs import report_damage
from reagent_sdk.cli.terminal import console, to_stderr, to_stdout, write_json
from reagent_sdk.errors import InvalidInput
from reagent_sdk.exports.formats import MARGIN, ExportSettings, Format
from reagent_sdk.run import Run, RunStatus

if TYPE_CHECKING:
    from reagent_sdk.exports.writing import ExportReport
    from reagent_sdk.record import RunLog
    from reagent_sdk.record_line import DamagedRecord

EXAMPLES = """\b
Formats, one line of JSON for each run:
  sft    {"messages": [...], "metadata": {...}}: the chosen attempt
  dpo    {"prompt": [...], "chosen": [...], "rejected": [...], ...}
  grpo   {"prompt": [...], "reference": [...], ...}
  atif   an ATIF-v1.7 document of the whole run
  otel   an OTLP/JSON trace of the run

\b
Examples:
  reagent runs export --format sft --only accepted --out sft.jsonl
  reagent runs export --format dpo --margin 0.2 --out dpo.jsonl
  reagent runs export --format grpo --log runs.jsonl | jq .prompt
  reagent runs export --format atif --run 3f2a --out trajectory.json
  reagent runs export --format otel --no-texts --out traces.jsonl
"""

_PRIVATE = 0o600


def export(  # noqa: PLR0913 - one for each option of the command
    format: Annotated[Format, typer.Option("--format", help="What to write.")],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to, in one step; without it to stdout as it comes.")
    ] = None,
    log: LogOption = None,
    run: Annotated[
        str | None, typer.Option("--run", metavar="ID", help="Only this run: its id, or its first characters.")
    ] = None,
    only: Annotated[
        list[RunStatus] | None,
        typer.Option("--only", metavar="STATUS", help=f"Only runs of this status: {', '.join(RunStatus)}. Repeatable."),
    ] = None,
    min_score: Annotated[
        float | None, typer.Option(min=0, max=1, metavar="X", help="Only runs whose chosen attempt scored X or more.")
    ] = None,
    margin: Annotated[
        float | None,
        typer.Option(metavar="X", help=f"dpo: how far the two scores lie apart at least; {MARGIN:g} by default."),
    ] = None,
    texts: Annotated[
        bool, typer.Option("--texts/--no-texts", help="otel: whether spans hold texts. The judge's analysis never.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Write the counts as JSON to stdout; needs --out.")] = False,
) -> None:
    """Write runs as training data for TRL, or for the viewers you have.

    A verdict that failed is never a number and never a preference. What looks like a key is masked.
    """
    from reagent_sdk.record import RunLog

    record = RunLog(log_path(log))
    settings = _settings(format, only, min_score, margin, texts)
    _check(record, out, as_json)
    with _records(record, run, bar=out is not None or not sys.stdout.isatty()) as records:
        report = _write(records, out, settings, f"the run log {record.path}")
    report_damage(report.first_damaged, report.damaged)
    if report.masked:
        to_stderr(f"keys were masked in {report.masked} of the lines")
    if as_json:
        write_json(report)
    else:
        (to_stderr if out is None else to_stdout)(report.told if out is None else f"{out}: {report.told}")


def _settings(
    format: Format, only: list[RunStatus] | None, min_score: float | None, margin: float | None, texts: bool
) -> ExportSettings:
    if margin is not None and format is not Format.DPO:
        raise InvalidInput(f"--margin belongs to --format dpo; leave it out for {format.value}")
    if not texts and format is not Format.OTEL:
        raise InvalidInput(f"--no-texts belongs to --format otel; {format.value} is made of texts")
    if margin is not None and not 0 < margin <= 1:
        raise InvalidInput(f"--margin is {margin:g}; write a number above 0, up to 1")
    return ExportSettings(
        format=format,
        only=tuple(only or ()),
        min_score=min_score,
        margin=MARGIN if margin is None else margin,
        texts=texts,
    )


def _check(record: RunLog, out: Path | None, as_json: bool) -> None:
    if out is None:
        if as_json:
            raise InvalidInput("--json writes the counts to stdout, where the lines go; name a file with --out")
        return
    if out.expanduser().absolute().resolve() == record.path.absolute().resolve():
        raise InvalidInput(f"{out} is the run log itself; write to another file")
    wrong = unwritable(out.expanduser())
    if wrong:
        raise InvalidInput(f"{out} cannot be written ({wrong}); pass another --out")


def _write(
    records: Iterable[Run | DamagedRecord], out: Path | None, settings: ExportSettings, source: str
) -> ExportReport:
    from reagent_sdk.exports.writing import export_runs
    from reagent_sdk.replacing import replacing

    if out is None:
        return export_runs(records, sys.stdout.buffer, settings, source=source)
    with replacing(out.expanduser(), mode=_PRIVATE) as draft:  # as private as the log that it is made of
        return export_runs(records, draft, settings, source=source)


@contextmanager
def _records(record: RunLog, run: str | None, *, bar: bool) -> Iterator[Iterable[Run | DamagedRecord]]:
    """The runs that are meant, with a bar on stderr where it can move and the lines do not."""
    if run is not None:
        yield [record.get(run)]
        return
    with _bar(record.path, enabled=bar) as moved:
        yield record.scan(moved)


@contextmanager
def _bar(log: Path, *, enabled: bool) -> Iterator[Callable[[int], None] | None]:
    screen = console(stderr=True)
    if not (enabled and screen.is_terminal):
        yield None
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=screen, transient=True, redirect_stdout=False, redirect_stderr=False) as bar:
        task = bar.add_task("reading", total=log.stat().st_size if log.exists() else None)
        yield lambda done: bar.update(task, completed=done)
