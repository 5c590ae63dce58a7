"""`reagent bench judge`: measures a judge on labelled work."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from reagent_sdk.cli import exits
from reagent_sdk.cli.options import JsonOption, JudgeOption, judge_spec
from reagent_sdk.cli.terminal import console, one_line, to_stderr, write_json

if TYPE_CHECKING:
    from reagent_benchmarks.judging.runner import Request

EXAMPLES = """\b
Examples:
  reagent bench judge --dataset mint --data data/mint --judge http://127.0.0.1:8001/v1 --out mint.json
  reagent bench judge --dataset tau_bench --data data/tau_bench --limit 40 --seed 0 --out tau.json
  reagent bench judge --dataset plan_rewardbench --data data/plan_rewardbench --repeats 3 --limit 20 --out plan.json
  reagent bench judge --dataset who_and_when --data data/who_and_when --steps --out when.json
  reagent bench judge --dataset mint --data data/mint --baselines
  reagent bench judge --dataset mint --data data/mint --export mint-labelled.jsonl
  jq -c '.items[]' mint.json > scored.jsonl      # rows with score, label and group, to calibrate on
"""

DataSetName = Literal["agentprocessbench", "mint", "plan_rewardbench", "tau_bench", "who_and_when"]


def judge(  # noqa: PLR0913 - one for each option of the command
    dataset: Annotated[DataSetName, typer.Option(help="The data set.")],
    data: Annotated[Path, typer.Option(metavar="DIR", help="The folder with its files, or one of the files.")],
    judge: JudgeOption = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.json", help="The result. Verdicts go to a file beside it as they come.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Judge only N items (pairs), drawn by question.")
    ] = None,
    seed: Annotated[int, typer.Option(metavar="S", help="Of the draw, the order, the frame codes and intervals.")] = 0,
    repeats: Annotated[
        int, typer.Option(min=1, metavar="K", help="Judge K times, each with another frame code, and tell the spread.")
    ] = 1,
    max_chars: Annotated[
        int | None, typer.Option(min=1_000, metavar="N", help="Room for a record; by default the judge's own.")
    ] = None,
    steps: Annotated[
        bool, typer.Option("--steps", help="Ask for a label of each step as well, and measure these labels.")
    ] = False,
    concurrency: Annotated[int, typer.Option(min=1, metavar="N", help="Verdicts under way at a time.")] = 4,
    export: Annotated[
        Path | None, typer.Option(metavar="FILE.jsonl", help="Write the labelled items for `reagent calibrate`.")
    ] = None,
    baselines: Annotated[
        bool, typer.Option("--baselines", help="Only show what a judge has to beat; nothing is judged.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Measure how well a judge's scores tell right from wrong work.

    Prints AUROC, pairwise accuracy, calibration error and more with intervals, beside what a constant, the length and
    the words of the record reach. Run the same command again to go on after an interruption. With --baselines, and with
    --export and no --out, nothing is judged.
    """
    from reagent_sdk.errors import InvalidInput

    if export is not None:
        _export(dataset, data, export, limit, seed)
    if out is None and not baselines:
        if export is None:
            raise InvalidInput("pass --out FILE.json for the result, --baselines, or --export FILE.jsonl")
        return
    from reagent_benchmarks.judging.datasets import DataSet
    from reagent_benchmarks.judging.runner import Request, run

    spec = "" if baselines else judge_spec(judge)
    target = (out or Path()).expanduser()
    request = Request(
        DataSet(dataset), data.expanduser(), spec, target, limit, seed, repeats, max_chars, concurrency, steps
    )
    if baselines:
        _baselines(request, as_json=as_json)
        return
    try:
        result = run(request)
    except KeyboardInterrupt:
        exits.complain(f"interrupted; the verdicts are kept beside {out}, run it again to go on")
        raise typer.Exit(exits.INTERRUPTED) from None
    _tell(result, target, as_json=as_json)


def _baselines(request: Request, *, as_json: bool) -> None:
    from reagent_benchmarks.judging.runner import baselines
    from reagent_benchmarks.judging.table import show_baselines

    lines = baselines(request)
    if as_json:
        write_json(lines)
    else:
        show_baselines(lines, console())


def _export(dataset: str, data: Path, file: Path, limit: int | None, seed: int) -> None:
    from reagent_benchmarks.judging.datasets import DataSet, load
    from reagent_benchmarks.judging.export import export
    from reagent_benchmarks.judging.sample import sampled

    loaded = load(DataSet(dataset), data.expanduser())
    count = export(sampled(loaded.items, limit, seed), file.expanduser())
    to_stderr(f"{count} labelled items: {file}")


def _tell(result: dict[str, Any], out: Path, *, as_json: bool) -> None:
    """Prints the result; exits with 3 when the judge gave no verdict."""
    if not result["complete"]:
        reason = one_line(result["reason"])
        exits.complain(f"the judge was unavailable from the beginning, so the rest was not tried: {reason}")
        raise typer.Exit(exits.UNAVAILABLE)
    failed = result["counts"]["statuses"].get("unavailable", 0)
    if failed:
        exits.warn(f"the judge was unavailable for {failed} items; run it again to ask for them again")
    if as_json:
        write_json({name: value for name, value in result.items() if name != "items"})
        return
    from reagent_benchmarks.judging.table import show

    show(result, console())
    to_stderr(f"written: {out}")
