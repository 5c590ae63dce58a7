"""`reagent score`: judges stored trajectories."""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, Literal, cast

import typer

from reagent_sdk.cli import exits
from reagent_sdk.cli.options import JsonOption, JudgeOption, judge_spec
from reagent_sdk.cli.terminal import console, write_json

if TYPE_CHECKING:
    from reagent_sdk.cli.scoring import Engine
    from reagent_sdk.cli.tally import Tally

EXAMPLES = """\b
Records, one a line:
  {"question": "...", "messages": [{"role": "assistant", ...}], "id": "7"}
  {"messages": [...]}    the question is the first message of the user
  {"question": "...", "answer": "..."}
  a run of the run log; its chosen attempt is judged

\b
Examples:
  reagent score trajectories.jsonl --out verdicts.jsonl
  reagent score runs.jsonl --judge http://127.0.0.1:8001/v1 --concurrency 32
  jq -c 'select(.ok)' all.jsonl | reagent score - | jq .verdict.score
  reagent score many.jsonl verdicts.jsonl --engine ray --workers 8 --concurrency 64
"""

_WORKERS = 2


def score(  # noqa: PLR0913 - one for each option of the command
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The records; `-` reads them from stdin.")],
    verdicts: Annotated[Path | None, typer.Argument(metavar="OUT", help="The same as --out.")] = None,
    judge: JudgeOption = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Append the verdicts to this file; records that are in it are skipped."),
    ] = None,
    concurrency: Annotated[
        int, typer.Option(min=1, metavar="N", help="Verdicts under way at a time, in each worker.")
    ] = 4,
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="Only the first N records.")] = None,
    engine: Annotated[
        Literal["local", "ray"], typer.Option(help="Judge in this process, or in worker processes on Ray.")
    ] = "local",
    workers: Annotated[
        int | None, typer.Option(min=1, metavar="N", help=f"Worker processes on Ray, {_WORKERS} by default.")
    ] = None,
    ray_address: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="A Ray cluster: auto, HOST:PORT or ray://HOST:PORT. Else one is started."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Judge stored trajectories, one JSON object a line, and write one verdict a line.

    The whole file is checked before anything is judged. Verdicts go to stdout or, with --out, to a file; run the same
    command again to go on after an interruption, with either engine. The summary is printed last, with --out and
    --json as JSON.
    """
    from reagent_sdk.cli.record_file import RecordFile
    from reagent_sdk.cli.scoring import score_records

    spec = judge_spec(judge)
    out = _out_file(verdicts, out)
    judging = _engine(engine, spec, concurrency, workers, ray_address)
    try:
        with (
            _opened(file, out) as source,
            RecordFile(source, "stdin" if str(file) == "-" else str(file), limit) as records,
        ):
            tally = asyncio.run(score_records(records, spec, out, judging))
    except KeyboardInterrupt:
        exits.complain("interrupted" + (f"; what is judged is in {out}, run it again to go on" if out else ""))
        raise typer.Exit(exits.INTERRUPTED) from None
    _summarise(tally, on_stderr=out is None, as_json=as_json and out is not None)
    _judge_failures(tally, resumable=out is not None)


def _out_file(argument: Path | None, option: Path | None) -> Path | None:
    from reagent_sdk.errors import InvalidInput

    if argument is not None and option is not None:
        raise InvalidInput(f"the verdicts go either to {argument} or to --out {option}; pass one of them")
    out = argument or option
    return out.expanduser() if out else None


def _engine(name: str, spec: str, concurrency: int, workers: int | None, address: str | None) -> Engine:
    from reagent_sdk.cli.scoring import local_engine, ray_engine
    from reagent_sdk.errors import InvalidInput

    if name == "ray":
        return ray_engine(spec, workers or _WORKERS, concurrency, address)
    if workers is not None or address is not None:
        raise InvalidInput("--workers and --ray-address are for --engine ray")
    return local_engine(concurrency)


def _summarise(tally: Tally, *, on_stderr: bool, as_json: bool) -> None:
    data = tally.as_data()
    if as_json:
        write_json(data)
        return
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    statuses = ", ".join(f"{status} {count}" for status, count in tally.by_status.most_common())
    mean, pace = data["mean_score"], data["seconds_per_verdict"]
    for label, value in (
        ("verdicts", str(data["verdicts"])),
        ("scored", str(data["scored"])),
        ("mean score", "-" if mean is None else f"{mean:.3f}"),
        ("by status", statuses or "-"),
        ("judged now", str(tally.judged)),
        ("seconds per verdict", "-" if pace is None else f"{pace:.2f}"),
    ):
        table.add_row(Text(label, style="cyan"), Text(value))
    console(stderr=on_stderr).print(table)


def _judge_failures(tally: Tally, *, resumable: bool) -> None:
    """Tells of an unavailable judge; exits with 3 when it gave no verdict at all."""
    failed = tally.failed_now
    if not failed:
        return
    again = "; run it again to go on" if resumable else ""
    if failed < tally.judged:
        exits.warn(f"the judge was unavailable for {failed} of {tally.judged} records{again}")
        return
    when = f"for the first {failed} records, so the rest was not tried" if tally.gave_up else "for every record"
    exits.complain(f"the judge was unavailable {when}{again}: {tally.last_reason} (see `reagent doctor`)")
    raise typer.Exit(exits.UNAVAILABLE)


@contextmanager
def _opened(file: Path, out: Path | None) -> Iterator[BinaryIO]:
    """The records as a file that can be read twice; what comes on stdin is put aside first.

    Raises:
        InvalidInput: it cannot be read, or is the file of verdicts.
    """
    from reagent_sdk.errors import InvalidInput

    if str(file) == "-":
        with tempfile.TemporaryFile() as copy:
            shutil.copyfileobj(sys.stdin.buffer, copy)
            yield cast(BinaryIO, copy)
        return
    try:
        opened = file.expanduser().open("rb")
    except OSError as error:
        raise InvalidInput(f"cannot read {file}: {error.strerror}") from error
    with opened:
        if out is not None and out.exists() and out.samefile(file.expanduser()):
            raise InvalidInput(f"--out {out} is the very file to be judged; pass another one")
        yield opened
