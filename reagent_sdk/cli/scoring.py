"""One session of `reagent score`: check the file, see what is done already, judge the rest."""

from __future__ import annotations

import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from reagent_sdk.cli.judging import judge_all
from reagent_sdk.cli.record_file import RecordFile
from reagent_sdk.cli.tally import Tally
from reagent_sdk.cli.terminal import console, to_stderr
from reagent_sdk.cli.verdicts import Earlier, Scored, VerdictFile, read_earlier, repair
from reagent_sdk.errors import InvalidInput
from reagent_sdk.judges.base import Judge, voices
from reagent_sdk.records import Record, read_row
from reagent_sdk.specs import judge_for
from reagent_sdk.verdict import Verdict

Engine: TypeAlias = Callable[[Judge, RecordFile, Callable[[Scored], None]], Awaitable[bool]]
"""Judges what is missing in the file and passes each verdict on; False when it gave an unavailable judge up."""


def local_engine(concurrency: int) -> Engine:
    """Judges in this process, `concurrency` records at a time."""

    async def engine(judge: Judge, file: RecordFile, keep: Callable[[Scored], None]) -> bool:
        def settled(record: Record, verdict: Verdict) -> None:
            keep(Scored(id=record.id, line=record.line, verdict=verdict))

        records = (read_row(row, file.name) for row in file.missing())
        return await judge_all(judge, records, settled, concurrency=concurrency)

    return engine


def ray_engine(spec: str, workers: int, concurrency: int, address: str | None) -> Engine:
    """Judges in the workers of a Ray cluster, each with a judge of its own."""
    from reagent_sdk.cli.bulk import Bulk, judge_on_ray

    async def engine(_: Judge, file: RecordFile, keep: Callable[[Scored], None]) -> bool:
        return await judge_on_ray(file, keep, Bulk(spec, workers, concurrency, address))

    return engine


async def score_records(file: RecordFile, spec: str, out: Path | None, engine: Engine) -> Tally:
    """Judges the records that have no verdict yet, and counts all verdicts.

    Raises:
        InvalidInput: a malformed line, an `out` that is no file of verdicts, or an unknown judge; nothing was judged.
        WeightsUnavailable: the judge's weights are missing.
    """
    file.check()
    judge = judge_for(spec)
    try:
        with _held(out):
            earlier = _earlier(file, out, judge)
            todo, of = file.index.n_missing, file.index.n_wanted
            if not of:
                to_stderr("there is nothing to judge: no record in the file")
            if file.empty_runs:
                to_stderr(f"{file.empty_runs} runs hold no attempt and are left out")
            if todo < of:
                to_stderr(f"{of - todo} of {of} records have a verdict in {out} and are skipped")
            return await _judge_rest(file, judge, earlier.tally, out, engine)
    finally:
        await judge.aclose()


@contextmanager
def _held(out: Path | None) -> Iterator[None]:
    """Keeps other processes away from the file of verdicts; the system frees it when this process dies."""
    if out is None:
        yield
        return
    from filelock import FileLock, Timeout

    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(out.with_name(f".{out.name}.lock"), timeout=0):
            yield
    except Timeout:
        raise InvalidInput(f"another process writes verdicts to {out}; wait for it, or pass another --out") from None


def _earlier(file: RecordFile, out: Path | None, judge: Judge) -> Earlier:
    """What is in the file of verdicts, which is repaired where need be."""
    if out is None or not out.exists():
        return Earlier()
    earlier = read_earlier(out, voices(judge), file.index.heard)
    if earlier.torn:
        to_stderr(f"{out} ends in a torn line, which is removed; its record is judged again")
    if earlier.again:
        to_stderr(f"{earlier.again} records for which the judge was unavailable are judged again")
    if earlier.doubled:
        to_stderr(f"{earlier.doubled} second verdicts on a record are removed from {out}")
    if earlier.open_end or earlier.again or earlier.doubled:
        repair(out, file.index.counts)
    return earlier


async def _judge_rest(file: RecordFile, judge: Judge, tally: Tally, out: Path | None, engine: Engine) -> Tally:
    began, todo = time.monotonic(), file.index.n_missing
    with (
        VerdictFile(out or sys.stdout) as verdicts,
        _progress(enabled=out is not None or not sys.stdout.isatty()) as bar,
    ):
        task = bar.add_task("judging", total=todo, rate=0.0)

        def keep(scored: Scored) -> None:
            verdicts.write(scored)
            tally.add(scored.verdict, now=True)
            bar.update(task, advance=1, rate=tally.judged / max(1e-9, time.monotonic() - began))

        tally.gave_up = bool(todo) and not await engine(judge, file, keep)
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
