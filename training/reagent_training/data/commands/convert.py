"""`reagent data convert`: public data sets and run logs as labelled trajectories."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from reagent_sdk.cli.options import JsonOption

EXAMPLES = """\b
Examples:
  reagent data convert agentprocessbench data/agentprocessbench apb.jsonl
  reagent data convert mint data/mint mint.parquet
  reagent data convert run-log ~/.local/share/reagent/runs.jsonl mine.jsonl --labels labels.jsonl
  reagent data convert tau-bench data/tau_bench tau/ --split train=0.8,test=0.2 --seed 0
  reagent data convert reagent bunny127/Reagent-RRM-SFT-28K reagent.parquet
"""

SourceName = Literal[
    "run-log",
    "agentprocessbench",
    "mint",
    "plan-rewardbench",
    "tau-bench",
    "who-and-when",
    "mr-gsm8k",
    "realcritic",
    "big-bench-mistake",
    "reagent",
]


def convert(  # noqa: PLR0913 - one for each option of the command
    source: Annotated[SourceName, typer.Argument(metavar="SOURCE", help="What IN holds.", show_choices=True)],
    given: Annotated[str, typer.Argument(metavar="IN", help="A folder, a file, or a hub id (for `reagent`).")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A .jsonl[.gz|.zst] or .parquet; with --split, a folder.")],
    labels: Annotated[
        Path | None, typer.Option(metavar="FILE", help='For run-log: lines of {"id": ..., "label": true or false}.')
    ] = None,
    split: Annotated[
        str | None, typer.Option(metavar="SHARES", help="Split by question at once: train=0.8,test=0.2.")
    ] = None,
    seed: Annotated[int, typer.Option(metavar="S", help="Of the split.")] = 0,
    hub_split: Annotated[str, typer.Option(metavar="NAME", help="Which split of a hub data set to read.")] = "train",
    as_json: JsonOption = False,
) -> None:
    """Write a data set as labelled trajectories, with a data card beside it.

    What would tell the label is taken out of what the judge sees. Sources: run-log, agentprocessbench, mint,
    plan-rewardbench, tau-bench, who-and-when, mr-gsm8k, realcritic, big-bench-mistake, reagent.
    """
    from reagent_training.data.commands.printing import tell
    from reagent_training.data.making import converted, converted_and_split
    from reagent_training.data.sources.registry import Conversion
    from reagent_training.data.splits import read_shares

    asked = Conversion(source, given, None if labels is None else labels.expanduser(), hub_split)
    if split is None:
        cards = [converted(asked, out.expanduser())]
    else:
        cards = converted_and_split(asked, out.expanduser(), read_shares(split), seed)
    tell(cards, as_json=as_json)
