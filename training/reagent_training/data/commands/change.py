"""`reagent data split`, `filter` and `merge`: sets made of other sets."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from reagent_sdk.cli.options import JsonOption
from reagent_training.data.commands.look import SetArgument

SPLIT_EXAMPLES = """\b
Examples:
  reagent data split all.jsonl sets/ --shares train=0.8,validation=0.1,test=0.1
  reagent data split all.parquet sets/ --shares train=0.9,test=0.1 --seed 1 --json
"""
FILTER_EXAMPLES = """\b
Examples:
  reagent data filter all.jsonl clean.jsonl --against data/gsm8k/test.jsonl --against data/arpo_eval/hotpotqa.jsonl
  reagent data filter all.jsonl clean.parquet --skip near-duplicates --max-chars 20000
  reagent data filter all.jsonl clean.jsonl --max-tokens 2000 --tokenizer HuggingFaceTB/SmolLM2-135M-Instruct
"""
MERGE_EXAMPLES = """\b
Examples:
  reagent data merge apb.jsonl mint.parquet synth.jsonl --out all.jsonl
"""


class FilterName(StrEnum):
    """Filters that can be left out."""

    LEAKS = "leaks"
    FORMAT = "format"
    DUPLICATES = "duplicates"
    NEAR_DUPLICATES = "near-duplicates"


def split(
    file: SetArgument,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Takes a file for each part.")],
    shares: Annotated[str, typer.Option(metavar="SHARES", help="Parts and their shares of the questions.")] = (
        "train=0.8,validation=0.1,test=0.1"
    ),
    seed: Annotated[int, typer.Option(metavar="S", help="Another seed is another split.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Split a set by question: all rows of a question go to the same part.

    The part depends on the question and the seed alone, so that rows which are added later never move a question.
    """
    from reagent_training.data.commands.printing import tell
    from reagent_training.data.making import split_up
    from reagent_training.data.splits import read_shares

    tell(split_up(file.expanduser(), folder.expanduser(), read_shares(shares), seed), as_json=as_json)


def filter_set(  # noqa: PLR0913 - one for each option of the command
    file: SetArgument,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The rows that are kept.")],
    skip: Annotated[list[FilterName] | None, typer.Option(help="Leave a filter out; may be repeated.")] = None,
    against: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="An evaluation set, whose questions go; may be repeated.")
    ] = None,
    near: Annotated[float, typer.Option(min=0.5, max=1.0, metavar="J", help="Similarity of near duplicates.")] = 0.9,
    min_chars: Annotated[int, typer.Option(min=0, metavar="N", help="Least characters of the record.")] = 0,
    max_chars: Annotated[int | None, typer.Option(min=1, metavar="N", help="Most characters of the record.")] = None,
    max_tokens: Annotated[int | None, typer.Option(min=1, metavar="N", help="Most tokens; needs --tokenizer.")] = None,
    tokenizer: Annotated[str | None, typer.Option(metavar="NAME", help="A tokenizer: folder or hub id.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Leave out leaks, broken targets, duplicates, questions of evaluation sets, and records of the wrong length.

    Every reason is counted, on the screen and on the data card. The other side of a pair goes along.
    """
    from reagent_training.data.choosing import Choice
    from reagent_training.data.commands.printing import tell
    from reagent_training.data.making import filtered

    choice = Choice(
        skip=tuple(one.value for one in skip or ()),
        against=tuple(one.expanduser() for one in against or ()),
        near=near,
        min_chars=min_chars,
        max_chars=max_chars,
        max_tokens=max_tokens,
        tokenizer=tokenizer,
    )
    tell([filtered(file.expanduser(), out.expanduser(), choice)], as_json=as_json)


def merge(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Sets with different ids.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="All rows, in the order of the files.")],
    as_json: JsonOption = False,
) -> None:
    """Put several sets into one."""
    from reagent_training.data.commands.printing import tell
    from reagent_training.data.making import merged

    tell([merged([file.expanduser() for file in files], out.expanduser())], as_json=as_json)
