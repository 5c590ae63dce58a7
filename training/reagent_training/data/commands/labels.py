"""`reagent data labels`: sets as labelled work, on which judges are calibrated."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reagent_sdk.cli.options import JsonOption

LABELS_EXAMPLES = """\b
Example:
  reagent data labels sets/mint/calibration.jsonl sets/tau-bench/calibration.jsonl --out labelled.jsonl
  reagent calibrate labelled.jsonl --judge local:runs/tiny
"""


def labels(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Sets with different ids.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="The labelled work, one a line.")],
    only: Annotated[str | None, typer.Option(metavar="SOURCE", help="Rows of this source alone.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Write the rows whose outcome is known as `reagent calibrate` reads them: work, label and question.

    Preference pairs say which side is better, not whether it is right: they are left out, and counted.
    """
    from reagent_benchmarks.judging.export import export

    from reagent_sdk.cli.terminal import to_stderr, write_json
    from reagent_sdk.errors import InvalidInput
    from reagent_training.data.files import read_set
    from reagent_training.data.items import items_of

    rows = [row for file in files for row in read_set(file.expanduser()) if only in (None, row.source)]
    told = [row for row in rows if row.correct is not None and row.pair is None]
    if not told:
        raise InvalidInput(f"no outcome is known of the {len(rows)} rows; there is nothing to calibrate on")
    if len({row.id for row in told}) < len(told):
        raise InvalidInput("an id is in two of the files; ids must differ")
    written = {"rows": export(items_of(told), out.expanduser()), "left out": len(rows) - len(told), "file": str(out)}
    if as_json:
        write_json(written)
    else:
        to_stderr(f"{written['rows']} labelled rows in {out}, {written['left out']} without an outcome left out")
