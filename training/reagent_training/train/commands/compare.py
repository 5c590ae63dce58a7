"""`reagent train compare`: judges side by side on held-out labelled trajectories."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reagent_sdk.cli.options import JsonOption

if TYPE_CHECKING:
    from rich.console import Console

    from reagent_training.train.compare import Line

EXAMPLES = """\b
Examples:
  reagent train compare --judge tiny=local --judge base=local:smollm2-135m-instruct \\
    --test sets/mint/test.jsonl --train sets/mint/train.jsonl --out comparison/
  reagent train compare --judge sft=local:runs/sft --judge grpo=local:runs/grpo --test sets/apb/test.jsonl --out grpo/
"""


def compare(  # noqa: PLR0913 - the options of a command
    judges: Annotated[list[str], typer.Option("--judge", metavar="[LABEL=]SPEC", help="A judge; repeatable.")],
    tests: Annotated[list[Path], typer.Option("--test", metavar="FILE", help="Labelled rows; repeatable.")],
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Takes verdicts and table; the same goes on.")],
    trains: Annotated[
        list[Path] | None,
        typer.Option("--train", metavar="FILE", help="Rows the judge learnt from: the baselines learn from them too."),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="Rows of each test file, whole pairs.")] = None,
    free: Annotated[
        bool, typer.Option("--free", help="Let judges write without a grammar, once: do they keep the format?")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of frame codes, draws and intervals.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Measure judges on the same held-out rows, beside a constant and a bag of words fitted on the training rows.

    Verdicts are kept in FOLDER one by one, so that an interrupted comparison goes on.
    """
    from reagent_training.train.commands.shared import needs_training

    needs_training()
    import functools
    import json

    import anyio

    from reagent_sdk.cli.terminal import console, write_json
    from reagent_sdk.replacing import replacing
    from reagent_training.data.items import items_of
    from reagent_training.train import compare as work
    from reagent_training.train.config import Source
    from reagent_training.train.rows import check_apart, read_rows

    test = items_of(read_rows([Source(path=path, rows=limit) for path in tests], prompt_version=None, seed=seed))
    known = items_of(read_rows([Source(path=path) for path in trains or []], prompt_version=None, seed=seed))
    check_apart(known, test, "test")
    named = dict(_named(one) for one in judges)
    lines = work.baselines(known, test, room=work.room_of(next(iter(named.values()))), seed=seed) if known else []
    for label, spec in named.items():
        lines += anyio.run(functools.partial(work.judged, spec, label, test, out.expanduser(), seed=seed, free=free))
    table = [line.model_dump(mode="json") for line in lines]
    with replacing(out.expanduser() / ("comparison.free.json" if free else "comparison.json")) as draft:
        draft.write(json.dumps(table, indent=1).encode() + b"\n")
    if as_json:
        write_json(table)
    else:
        _show(lines, console())


def _named(given: str) -> tuple[str, str]:
    label, equals, spec = given.partition("=")
    if equals and label.replace("-", "").replace("_", "").isalnum():
        return label, spec
    return given, given


def _show(lines: Sequence[Line], screen: Console) -> None:
    """A table for each data set: figures down, judges across."""
    from reagent_benchmarks.judging.lines import Line as Figures
    from reagent_benchmarks.judging.table import show_baselines
    from rich.text import Text

    from reagent_sdk.cli.terminal import clean

    for source in dict.fromkeys(line.source for line in lines):
        here = [line for line in lines if line.source == source]
        screen.print(Text(clean(f"{source}, {here[0].rows} rows"), style="bold"))
        show_baselines({line.judge: Figures(n=line.n, figures=line.figures) for line in here}, screen)
        for line in here:
            if line.statuses:
                heard = ", ".join(f"{count} {status}" for status, count in sorted(line.statuses.items()))
                time = "" if line.seconds is None else f", {line.seconds:.1f} s a verdict"
                told = f"{line.judge}: {heard}{time}, {line.leaks} critiques that give an answer away"
                screen.print(Text(clean(told), style="dim"))
    screen.print(Text("intervals: 95%, bootstrap over questions; pairwise: ties count half", style="dim"))
