"""`reagent data annotate`: a teacher writes analysis, critique and score."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reagent_sdk.cli import exits
from reagent_sdk.cli.options import SPEC_FORMS, JsonOption
from reagent_training.data.commands.look import SetArgument
from reagent_training.data.commands.sample import BudgetTokensOption, BudgetUsdOption, read_budget

if TYPE_CHECKING:
    from reagent_training.annotating.estimate import Estimate
    from reagent_training.annotating.report import AnnotateReport
    from reagent_training.annotating.session import Annotation

ANNOTATE_EXAMPLES = """\b
Examples:
  reagent data annotate sampled.jsonl taught.jsonl --teacher openai/gpt-5 --estimate-only
  reagent data annotate sampled.jsonl taught.jsonl --teacher openai/gpt-5 --budget-usd 5 --yes
  reagent data annotate mint.jsonl taught.parquet --teacher http://127.0.0.1:8000/v1 --hide-reference --yes
"""


def annotate(  # noqa: PLR0913 - one for each option of the command
    file: SetArgument,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A .jsonl[.gz|.zst] or .parquet.")],
    teacher: Annotated[str, typer.Option(metavar="SPEC", help=f"The teacher: {SPEC_FORMS}.")],
    show_reference: Annotated[
        bool,
        typer.Option("--show-reference/--hide-reference", help="Tell the teacher the right answer and the outcome."),
    ] = True,
    budget_usd: BudgetUsdOption = None,
    budget_tokens: BudgetTokensOption = None,
    estimate_only: Annotated[bool, typer.Option("--estimate-only", help="Say what it will cost, and stop.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Begin without asking.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="Only the first N rows.")] = None,
    concurrency: Annotated[int, typer.Option(min=1, metavar="N", help="Rows under way at a time.")] = 4,
    max_tokens: Annotated[int | None, typer.Option(min=1, metavar="N", help="Longest reply of the teacher.")] = None,
    overwrite_targets: Annotated[
        bool, typer.Option("--overwrite-targets", help="Also those of rows that people labelled.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Have a teacher write analysis, critique and score for each row, under a rubric.

    It says first what that will cost. A reply that cannot be read or gives the answer away is asked for once more; a
    row without a usable one stays as it is and is counted. A run that was cut off, or whose budget is used up, goes on
    when the same command is given again.
    """
    import asyncio

    from reagent_training.annotating.session import AnnotateSettings, Annotation

    settings = AnnotateSettings(
        teacher=teacher,
        show_reference=show_reference,
        overwrite_targets=overwrite_targets,
        limit=limit,
        max_tokens=max_tokens,
    )
    budget = read_budget(budget_usd, budget_tokens)
    annotation = Annotation(file.expanduser(), out.expanduser(), settings, budget)
    estimate = asyncio.run(annotation.estimate())
    _show_estimate(estimate, only=estimate_only, as_json=as_json)
    if estimate_only or not (yes or _agreed(estimate)):
        return
    try:
        report = asyncio.run(_run(annotation, concurrency))
    except KeyboardInterrupt:
        exits.complain("interrupted; what is done is kept, give the same command to go on")
        raise typer.Exit(exits.INTERRUPTED) from None
    _tell(report, as_json=as_json)


async def _run(annotation: Annotation, concurrency: int) -> AnnotateReport:
    from contextlib import aclosing

    async with aclosing(annotation):
        return await annotation.run(concurrency)


def _agreed(estimate: Estimate) -> bool:
    """Whether a person says yes; true where there is nothing to pay for.

    Raises:
        InvalidInput: nobody can be asked.
    """
    from reagent_sdk.cli.terminal import to_stderr
    from reagent_sdk.errors import InvalidInput

    if not estimate.rows:
        return True
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise InvalidInput("nobody can be asked here: pass --yes to begin, or --estimate-only to see what it will cost")
    agreed = typer.confirm(f"Ask the teacher about {estimate.rows} rows?", err=True)
    if not agreed:
        to_stderr("nothing was asked")
    return agreed


def _show_estimate(estimate: Estimate, *, only: bool, as_json: bool) -> None:
    """On stdout where it is all that was asked for, else as a notice."""
    from reagent_sdk.cli.terminal import console, write_json

    if only and as_json:
        write_json(estimate)
        return
    money = "unknown" if estimate.usd is None else f"about ${estimate.usd:.2f}, at most ${estimate.most_usd:.2f}"
    screen = console(stderr=not only)
    screen.print(
        f"{estimate.rows} rows to annotate: about {estimate.prompt_tokens:,} prompt tokens ({estimate.counted}) and "
        f"{estimate.completion_tokens:,} written, at most {estimate.most_tokens:,} in all",
        soft_wrap=True,
    )
    screen.print(f"price: {money}")


def _tell(report: AnnotateReport, *, as_json: bool) -> None:
    from reagent_sdk.cli.terminal import clean, console, to_stderr, write_json

    if as_json:
        write_json(report)
    else:
        screen = console()
        screen.print(f"{clean(str(report.out))}: {report.annotated} of {report.rows} rows annotated")
        if report.kept:
            screen.print(f"kept: {report.kept} with targets by people")
        for why, count in report.without.items():
            screen.print(f"without new targets: {count}, {why}")
        means = [
            f"{name} work {mean:.2f}"
            for name, mean in (("right", report.mean_score_right), ("wrong", report.mean_score_wrong))
            if mean is not None
        ]
        if means:
            screen.print(f"mean score: {', '.join(means)}")
        if report.off_scale:
            screen.print(f"far off the rubric's scale for their outcome: {report.off_scale} scores")
        screen.print(f"used now: {report.usage}")
        if report.annotated or report.complete:
            to_stderr("a data card lies beside the file")
    _warn(report)


def _warn(report: AnnotateReport) -> None:
    """Tells what is left; exits with 3 when the teacher did not answer at all."""
    again = "give the same command to go on"
    if report.failed_now and report.failed_now >= report.asked_now:
        exits.complain(f"the teacher was unavailable for {report.failed_now} rows; {again}: {report.last_failure}")
        raise typer.Exit(exits.UNAVAILABLE)
    if report.stopped:
        settled = report.rows - report.not_done
        exits.warn(f"the budget of {report.stopped} is used up: {settled} of {report.rows} rows are settled; {again}")
    elif not report.complete:
        exits.warn(f"the teacher was unavailable for some rows ({report.last_failure}); {again}")
