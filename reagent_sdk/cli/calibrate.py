"""`reagent calibrate`: how far a judge's scores can be trusted, measured on labelled work."""

from __future__ import annotations

import asyncio
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from reagent_sdk.cli import exits
from reagent_sdk.cli.options import JsonOption, JudgeOption, judge_spec

if TYPE_CHECKING:
    from reagent_sdk.calibration.labels import LabelledWork
    from reagent_sdk.cli.calibrate_judging import JudgedWork

EXAMPLES = """\b
Labelled work, one a line; "label" says whether it is right:
  {"question": "...", "messages": [...], "label": true}
                         or any other record of `reagent score`
  {"id": "7", "score": 0.8, "judge": "...", "label": 1}
                         already scored
  a run of the run log, with "label" in it or with a --labels FILE
                         of lines {"id": "...", "label": true}
"group" names the question (its text by default); "revised_label" says
whether the same task was right after a revision.

\b
Examples:
  reagent calibrate labelled.jsonl --judge http://127.0.0.1:8001/v1 --concurrency 16
  reagent calibrate runs.jsonl --labels labels.jsonl --target 0.05
  reagent ask "..." --model openai/gpt-5 --judge calibrated:judge-calibration.json
"""

_EXTRA = ("matplotlib", "numpy", "scipy", "sklearn")


def calibrate(  # noqa: PLR0913 - one for each option of the command
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The labelled work.")],
    judge: JudgeOption = None,
    labels: Annotated[
        Path | None, typer.Option(metavar="FILE", help="More labels, joined by the id of the record or run.")
    ] = None,
    map_choice: Annotated[
        Literal["auto", "isotonic", "platt", "none"],
        typer.Option("--map", help="From score to probability. auto: what helps on held-out questions, if anything."),
    ] = "auto",
    target: Annotated[
        float, typer.Option(metavar="SHARE", help="The gate's promise: the largest share of wrong work it accepts.")
    ] = 0.1,
    confidence: Annotated[float, typer.Option(metavar="C", help="Of the gate and of all intervals.")] = 0.95,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The calibration.")] = Path("judge-calibration.json"),
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The reliability diagram, a PNG; beside --out by default.")
    ] = None,
    verdicts: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The verdicts, as `reagent score` writes them; beside --out by default. Not asked again.",
        ),
    ] = None,
    bootstrap: Annotated[int, typer.Option(min=0, metavar="N", help="Draws for the intervals.")] = 1000,
    seed: Annotated[int, typer.Option(help="Of the draws and folds.")] = 0,
    concurrency: Annotated[int, typer.Option(min=1, metavar="N", help="Verdicts under way at a time.")] = 4,
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="Only the first N labels.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure a judge on labelled work, map its scores to probabilities and fit a gate with a promise.

    Shows the judge beside a constant, the length of the record and its words, with intervals. Writes the calibration,
    which `--judge calibrated:FILE` loads, and a reliability diagram. Run the same command again to go on after an
    interruption.
    """
    if not all(find_spec(name) for name in _EXTRA):
        from reagent_sdk.errors import MissingExtra

        raise MissingExtra("calibrating a judge", "calibrate")
    from reagent_sdk.calibration.grid import checked_share
    from reagent_sdk.cli.calibrate_fit import Options, fit

    out = out.expanduser()
    options = Options(
        map_choice=map_choice,
        target=checked_share(target, "--target"),
        confidence=checked_share(confidence, "--confidence"),
        resamples=bootstrap,
        seed=seed,
        out=out,
        plot=plot.expanduser() if plot else out.with_suffix(".png"),
    )
    kept = verdicts.expanduser() if verdicts else out.with_name(f"{out.stem}.{file.stem}.verdicts.jsonl")
    _check_files([file, *([labels] if labels else [])], [options.out, options.plot, kept])
    result = fit(_judged(_work(file, labels, limit), judge, kept, concurrency), options)
    if as_json:
        from reagent_sdk.cli.terminal import write_json

        write_json(result.as_data())
    else:
        from reagent_sdk.cli.calibrate_view import show

        show(result)


def _check_files(read: list[Path], written: list[Path]) -> None:
    """Finds out before the judge is asked for hours, and before anything is overwritten.

    Raises:
        InvalidInput: two of the files are one, or a file cannot be written.
    """
    from reagent_sdk.cli.options import unwritable
    from reagent_sdk.errors import InvalidInput

    files = [path.expanduser().resolve() for path in (*read, *written)]
    for path in written:
        if files.count(path.resolve()) > 1:
            raise InvalidInput(f"{path} has two uses here; pass different files as input, --out, --plot and --verdicts")
        if wrong := unwritable(path):
            raise InvalidInput(f"{path} cannot be written ({wrong}); pass another file")


def _work(file: Path, labels: Path | None, limit: int | None) -> LabelledWork:
    """The labelled work; tells what has no label, and which labels have no work.

    Raises:
        InvalidInput: a malformed line, or labels that tell nothing.
    """
    from dataclasses import replace

    from reagent_sdk.calibration.labels import SHAPES, read_labelled, read_labels
    from reagent_sdk.cli.calibrate_fit import check_labels
    from reagent_sdk.errors import InvalidInput

    work = read_labelled(file.expanduser(), read_labels(labels.expanduser()) if labels else None)
    if work.empty_runs:
        exits.warn(f"{work.empty_runs} runs hold no attempt and are left out")
    if work.unlabelled:
        exits.warn(f"{len(work.unlabelled)} records have no label and are left out: {_some(work.unlabelled)}")
    if work.unmatched:
        exits.warn(f"{len(work.unmatched)} labels of {labels} belong to no record: {_some(work.unmatched)}")
    if not work.rows:
        raise InvalidInput(f"{file} holds no labelled work; each line is {SHAPES}, or pass --labels FILE")
    work = replace(work, rows=work.rows[:limit])
    check_labels(work.rows)
    return work


def _some(ids: tuple[str, ...]) -> str:
    return ", ".join(ids[:5]) + (", ..." if len(ids) > 5 else "")


def _judged(work: LabelledWork, given: str | None, verdicts: Path, concurrency: int) -> JudgedWork:
    """The work with its scores. Exits with 3 when the judge is unavailable, or gives too few scores."""
    from reagent_sdk.cli.calibrate_judging import asked_judge, judge_of_rows, judge_work

    only_scores = given is None and all(row.scored_row for row in work.rows)
    judge = judge_of_rows(work.rows) if only_scores else asked_judge(judge_spec(given))
    try:
        judged = asyncio.run(judge_work(work, judge, verdicts, concurrency=concurrency))
    except KeyboardInterrupt:
        exits.complain(f"interrupted; what is judged is in {verdicts}, run it again to go on")
        raise typer.Exit(exits.INTERRUPTED) from None
    failed, of = judged.unscored.total(), len(work.rows)
    if not failed:
        return judged
    why = ", ".join(f"{status} {count}" for status, count in judged.unscored.most_common())
    told = f"the judge gave no score for {failed} of {of} records ({why})"
    if judged.tally and judged.tally.last_reason:
        told += f"; the last reason: {judged.tally.last_reason}"
    if 2 * failed > of:
        exits.complain(f"{told}: too many to measure it by the rest (see `reagent doctor`); run it again to go on")
        raise typer.Exit(exits.UNAVAILABLE)
    exits.warn(f"{told}; they count in no figure")
    return judged
