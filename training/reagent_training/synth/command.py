"""`reagent data synth`: generated tool tasks with sound and flawed work on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reagent_sdk.cli.options import JsonOption
from reagent_sdk.cli.terminal import console, to_stdout, write_json
from reagent_training.synth.record import Split

if TYPE_CHECKING:
    from reagent_training.synth.generate import SynthReport

SYNTH_EXAMPLES = """\b
Examples:
  reagent data synth sets/train --n 500
  reagent data synth sets/test --n 100 --split test --seed 1
  reagent data synth sets/sums --n 200 --families words,tables --variants 6
"""


def synth(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The folder of the set; an unfinished one is finished.")],
    n: Annotated[int, typer.Option("--n", min=1, metavar="N", help="Tasks.")] = 500,
    families: Annotated[
        str, typer.Option(metavar="NAMES", help="Kinds of tasks, with commas: words, tables, lookups, mixed.")
    ] = "words,tables,lookups,mixed",
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="The same seed gives the same set.")] = 0,
    split: Annotated[Split, typer.Option(help="The halves share no template, theme or name.")] = Split.TRAIN,
    variants: Annotated[int, typer.Option(min=1, max=16, metavar="N", help="Trajectories of each task.")] = 4,
    as_json: JsonOption = False,
) -> None:
    """Generate tool tasks with known answers, and sound and flawed work on them, carried out with the real tools.

    Writes rows.jsonl, tasks.jsonl, the files and corpora of the tasks and a data card. A run that is cut off goes on
    when it is started again, and gives the same files.
    """
    import anyio

    from reagent_training.synth.generate import SynthSettings, generate

    kinds = tuple(name.strip() for name in families.split(",") if name.strip())
    settings = SynthSettings(n=n, families=kinds, seed=seed, split=split, variants=variants)
    with _bar() as show:
        report = anyio.run(lambda: generate(out, settings, progress=show))
    if as_json:
        write_json(report)
    else:
        to_stdout(_told(report))


@contextmanager
def _bar() -> Iterator[Callable[[int, int], None]]:
    """A progress bar on stderr, only where it can move."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    screen = console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("tasks"), TimeRemainingColumn())
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _told(report: SynthReport) -> str:
    before = f" ({report.resumed} of them by an earlier run)" if report.resumed else ""
    return f"{report.tasks} tasks{before}, {report.rows} trajectories: {report.folder}"
