"""`reagent train learning-curve`: what a judge knew at each checkpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reagent_sdk.cli.options import JsonOption

if TYPE_CHECKING:
    from rich.console import Console

    from reagent_sdk.calibration.card import Estimate
    from reagent_training.train.learning_curve import Point

_WORDS = "bag of words"
EXAMPLES = """\b
Example:
  reagent train learning-curve runs/tiny --test sets/mint/test.jsonl --test sets/tau-bench/test.jsonl --out curve/
"""


def learning_curve(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A folder that `reagent train rrm-sft` wrote.")],
    tests: Annotated[list[Path], typer.Option("--test", metavar="FILE", help="Held-out labelled rows; repeatable.")],
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Takes scores, figures and picture.")],
    stops: Annotated[int | None, typer.Option(min=1, metavar="N", help="So many checkpoints; all by default.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="Rows of each test file, whole pairs.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of what is drawn, and of the intervals.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Measure the checkpoints of a judge's run on held-out rows, beside a bag of words that learnt from the same rows.

    Only the grade is read, which stands before all words: one pass over a row. The scores of a checkpoint are kept in
    FOLDER, so that an interrupted measurement goes on.
    """
    from reagent_training.train.commands.shared import needs_training, quiet_libraries

    needs_training()
    import json

    from reagent_sdk.cli.terminal import console, write_json
    from reagent_sdk.replacing import replacing
    from reagent_training.data.items import items_of
    from reagent_training.sampling.bar import bar
    from reagent_training.train import checkpoints, compare, learning_curve, learning_plot, rrm_sft
    from reagent_training.train.config import Source
    from reagent_training.train.rows import check_apart, read_rows

    quiet_libraries()
    run, out = run.expanduser(), out.expanduser()
    config = checkpoints.settings_of(run)
    looked_at = checkpoints.stops_of(run, stops)
    parts = [Source(path=path, rows=limit) for path in tests]
    test = [row for row in read_rows(parts, prompt_version=None, seed=seed) if items_of([row])]
    known, _ = rrm_sft.load_rows(config)
    check_apart(known, test, "test")
    out.mkdir(parents=True, exist_ok=True)
    with bar("grading", 0, len(looked_at) * len(test)) as moved:
        scores = learning_curve.grade(config, looked_at, test, out, lambda update: moved(f"update {update}"))
    points = learning_curve.points(looked_at, scores, test, learning_curve.learnt_from(config, known), seed=seed)
    told_by = compare.baselines(items_of(known), items_of(test), room=config.max_chars, seed=seed)
    words = {
        line.source: line.figures[learning_curve.leading(line.figures)]
        for line in told_by
        if line.judge == _WORDS and line.source != compare.TOGETHER
    }
    told = {
        "points": [point.model_dump(mode="json") for point in points],
        _WORDS: {source: one.model_dump(mode="json") for source, one in words.items()},
    }
    with replacing(out / "learning_curve.json") as draft:
        draft.write(json.dumps(told, indent=1).encode() + b"\n")
    learning_plot.draw(points, words, out / "learning_curve.png", f"{config.name}: {config.recipe}")
    if as_json:
        write_json(told)
    else:
        _show(points, words, console())


def _show(points: Sequence[Point], words: Mapping[str, Estimate], screen: Console) -> None:
    """A table for each source: what was seen down, the figure with its interval across."""
    from rich.table import Table
    from rich.text import Text

    from reagent_sdk.cli.terminal import clean
    from reagent_training.train.learning_curve import leading

    for source in dict.fromkeys(point.source for point in points):
        here = [point for point in points if point.source == source]
        name = leading(here[0].figures)
        table = Table("judge after", "rows seen", "AUROC" if name == "auroc" else "pairwise accuracy")
        for point in here:
            after = f"{point.update} updates" if point.update else "nothing: the base"
            table.add_row(after, str(point.rows), str(point.figures[name]))
        if source in words:
            table.add_row(_WORDS, "all of the run", str(words[source]))
        screen.print(Text(clean(f"{source}, {here[0].n} held-out rows"), style="bold"))
        screen.print(table)
    screen.print(Text("intervals: 95%, bootstrap over questions; a constant has 0.5", style="dim"))
