"""`reagent data show` and `reagent data stats`."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from reagent_sdk.cli.options import JsonOption

SHOW_EXAMPLES = """\b
Examples:
  reagent data show train.jsonl                # the first rows, one a line
  reagent data show train.jsonl --row 7        # one record: labels, targets, and what the judge reads
  reagent data show train.parquet --id mint/gpt-4-0613|none|hotpotqa|3 --json
"""
STATS_EXAMPLES = """\b
Examples:
  reagent data stats train.jsonl
  reagent data stats train.parquet --json | jq .sources
"""

SetArgument = Annotated[Path, typer.Argument(metavar="FILE", help="A .jsonl[.gz|.zst] or .parquet of trajectories.")]


def show(
    file: SetArgument,
    row: Annotated[int | None, typer.Option(min=1, metavar="N", help="Show row N in full.")] = None,
    id: Annotated[str | None, typer.Option("--id", metavar="ID", help="Show the record with this id in full.")] = None,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="How many rows of the table to show.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """Show the rows of a set, or one of them in full."""
    from reagent_sdk.cli.terminal import console, write_json
    from reagent_sdk.errors import InvalidInput
    from reagent_training.data.commands.printing import show_record, show_rows
    from reagent_training.data.files import read_set

    numbered = enumerate(read_set(file), start=1)
    if row is None and id is None:
        rows = list(islice(numbered, limit))
        if as_json:
            write_json([record.model_dump(mode="json") for _, record in rows])
        else:
            show_rows(rows, console())
        return
    wanted = (one for one in numbered if (row is None or one[0] == row) and (id is None or one[1].id == id))
    found = next(wanted, None)
    if found is None:
        raise InvalidInput(f"{file} has no " + (f"record {id!r}" if id is not None else f"row {row}"))
    if as_json:
        write_json(found[1].model_dump(mode="json"))
    else:
        show_record(*found, console())


def stats(file: SetArgument, as_json: JsonOption = False) -> None:
    """Count what a set holds: sources, labels, scores, lengths. Every row is checked."""
    from reagent_sdk.cli.terminal import console, write_json
    from reagent_training.data.commands.printing import show_summary
    from reagent_training.data.commands.watching import watched
    from reagent_training.data.files import read_set
    from reagent_training.data.summary import summarise

    about = summarise(watched(read_set(file), "counting"))
    if as_json:
        write_json(about)
    else:
        show_summary(about, console())
