"""One session of `reagent score`: check the file, see what is done already, judge the rest."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from reagent_sdk.cli.judging import judge_all
from reagent_sdk.cli.records import Record, RecordFile
from reagent_sdk.cli.tally import Tally
from reagent_sdk.cli.terminal import console, to_stderr
from reagent_sdk.cli.verdicts import Earlier, VerdictFile, read_earlier, repair
from reagent_sdk.judges.base import Judge
from reagent_sdk.specs import judge_for
from reagent_sdk.verdict import Verdict


async def score_records(file: RecordFile, spec: str, out: Path | None, *, concurrency: int) -> Tally:
    """Judges the records that have no verdict yet, and counts all verdicts.

    Raises:
        InvalidInput: a malformed line, an `out` that is no file of verdicts, or an unknown judge; nothing was judged.
        WeightsUnavailable: the judge's weights are missing.
    """
    file.check()
    judge = judge_for(spec)
    try:
        earlier = _earlier(out, judge)
        if not file.ids:
            to_stderr("there is nothing to judge: no record in the file")
        if file.empty_runs:
            to_stderr(f"{file.empty_runs} runs hold no attempt and are left out")
        todo = len(file.ids) - sum(one in earlier.ids for one in file.ids)
        if todo < len(file.ids):
            to_stderr(f"{len(file.ids) - todo} of {len(file.ids)} records have a verdict in {out} and are skipped")
        return await _judge_rest(file, judge, earlier, out, todo=todo, concurrency=concurrency)
    finally:
        await judge.aclose()


def _earlier(out: Path | None, judge: Judge) -> Earlier:
    """What is in the file of verdicts, which is repaired where need be."""
    if out is None or not out.exists():
        return Earlier()
    earlier = read_earlier(out, judge.name)
    if earlier.torn:
        to_stderr(f"{out} ends in a torn line, which is removed; its record is judged again")
    if earlier.again:
        to_stderr(f"{earlier.again} records for which the judge was unavailable are judged again")
    if earlier.open_end or earlier.again:
        repair(out)
    return earlier


async def _judge_rest(
    file: RecordFile, judge: Judge, earlier: Earlier, out: Path | None, *, todo: int, concurrency: int
) -> Tally:
    tally, began = earlier.tally, time.monotonic()
    records = (record for record in file.records() if record.id not in earlier.ids)
    with (
        VerdictFile(out or sys.stdout) as verdicts,
        _progress(enabled=out is not None or not sys.stdout.isatty()) as bar,
    ):
        task = bar.add_task("judging", total=todo, rate=0.0)

        def keep(record: Record, verdict: Verdict) -> None:
            verdicts.add(record, verdict)
            tally.add(verdict, now=True)
            bar.update(task, advance=1, rate=tally.judged / max(1e-9, time.monotonic() - began))

        tally.gave_up = not await judge_all(judge, records, keep, concurrency=concurrency)
    tally.seconds = time.monotonic() - began
    return tally


def _progress(*, enabled: bool) -> Progress:
    """A bar on stderr; none where the verdicts themselves scroll by, and none in a file."""
    screen = console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rate]:.2f}/s"),
        TimeRemainingColumn(),
        console=screen,
        disable=not (enabled and screen.is_terminal),
        redirect_stdout=False,
        redirect_stderr=False,
    )
