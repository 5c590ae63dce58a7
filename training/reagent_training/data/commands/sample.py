"""`reagent data sample`: agents at work on questions, their answers graded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reagent_sdk.cli import exits
from reagent_sdk.cli.options import SPEC_FORMS, JsonOption
from reagent_sdk.cli.toolset import NAMES, CorpusOption, RootOption

if TYPE_CHECKING:
    from reagent_sdk.budget import Budget
    from reagent_training.sampling.report import SampleReport

SAMPLE_EXAMPLES = """\b
Examples:
  reagent data sample questions.jsonl out.jsonl --agent openai/gpt-5-mini --agent http://127.0.0.1:8000/v1
  reagent data sample questions.jsonl out.jsonl --agent local --temperatures 0.2,0.8 --samples 4 --limit 100
  reagent data sample questions.jsonl out.jsonl --agent openai/gpt-5 --tools none --tools search,browse,python
  reagent data sample sets/train out.parquet --agent http://127.0.0.1:8000/v1 --budget-tokens 2000000
"""

BudgetUsdOption = Annotated[
    float | None, typer.Option("--budget-usd", metavar="X", help="Stop at so many US dollars, and go on another time.")
]
BudgetTokensOption = Annotated[
    int | None, typer.Option("--budget-tokens", min=1, metavar="N", help="Stop at so many tokens.")
]


def sample(  # noqa: PLR0913 - one for each option of the command
    questions: Annotated[
        Path,
        typer.Argument(
            metavar="QUESTIONS", help='Lines of {"question": ..., "answer": ...}, or a folder of `reagent data synth`.'
        ),
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A .jsonl[.gz|.zst] or .parquet.")],
    agent: Annotated[
        list[str], typer.Option("--agent", metavar="SPEC", help=f"A model, may be repeated: {SPEC_FORMS}.")
    ],
    temperatures: Annotated[str, typer.Option(metavar="T,...", help="What they sample with; 0 is done once.")] = "0.7",
    tools: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME,...",
            help=f"A tool set, may be repeated: none, or some of {', '.join(NAMES)}. For generated tasks also own, "
            "their default: all tools of each task.",
        ),
    ] = None,
    samples: Annotated[int, typer.Option(min=1, metavar="N", help="Attempts at each question, of each kind.")] = 1,
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="Only the first N questions.")] = None,
    seed: Annotated[int, typer.Option(metavar="S", help="Another seed gives other attempts.")] = 0,
    concurrency: Annotated[int, typer.Option(min=1, metavar="N", help="Attempts under way at a time.")] = 4,
    max_tokens: Annotated[int | None, typer.Option(min=1, metavar="N", help="Longest reply of a model.")] = None,
    timeout: Annotated[float, typer.Option(min=0.001, metavar="S", help="Seconds for each attempt.")] = 600.0,
    corpus: CorpusOption = None,
    root: RootOption = Path(),
    budget_usd: BudgetUsdOption = None,
    budget_tokens: BudgetTokensOption = None,
    source: Annotated[str | None, typer.Option(metavar="NAME", help="The rows' source; else after the file.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Let agents work on questions, grade their answers, and write the work as labelled trajectories.

    Models, temperatures and tool sets are combined, so that errors vary. An attempt that fails is counted and is no
    wrong answer. A run that was cut off goes on when the same command is given again; failed attempts are then made
    again as well.
    """
    import asyncio

    from reagent_training.sampling.session import Pace, SampleSettings
    from reagent_training.sampling.session import sample as roll

    settings = SampleSettings(
        agents=tuple(agent),
        temperatures=read_temperatures(temperatures),
        tools=tuple(",".join(name.strip() for name in names.split(",")) for names in tools or ()),
        samples=samples,
        limit=limit,
        seed=seed,
        max_tokens=max_tokens,
        source=source,
        corpus=corpus.expanduser() if corpus else None,
        root=root.expanduser(),
    )
    pace = Pace(budget=read_budget(budget_usd, budget_tokens), concurrency=concurrency, seconds=timeout)
    try:
        report = asyncio.run(roll(questions.expanduser(), out.expanduser(), settings, pace))
    except KeyboardInterrupt:
        exits.complain("interrupted; what is done is kept, give the same command to go on")
        raise typer.Exit(exits.INTERRUPTED) from None
    _tell(report, as_json=as_json)


def read_temperatures(text: str) -> tuple[float, ...]:
    """Temperatures with commas between them.

    Raises:
        InvalidInput: one is no number from 0 to 5.
    """
    from reagent_sdk.errors import InvalidInput

    try:
        read = tuple(float(part) for part in text.split(","))
    except ValueError:
        read = (-1.0,)
    if not all(0.0 <= one <= 5.0 for one in read):
        raise InvalidInput(f"--temperatures is {text!r}; write numbers from 0 to 5 with commas, such as 0.2,0.8")
    return read


def read_budget(usd: float | None, tokens: int | None) -> Budget:
    """The limits of a run.

    Raises:
        InvalidInput: the money is no number above 0.
    """
    from math import isfinite

    from reagent_sdk.budget import Budget
    from reagent_sdk.errors import InvalidInput

    if usd is not None and not (isfinite(usd) and usd > 0):
        raise InvalidInput(f"--budget-usd is {usd}; write a number greater than 0")
    return Budget(usd=usd, tokens=tokens)


def _tell(report: SampleReport, *, as_json: bool) -> None:
    from reagent_sdk.cli.terminal import clean, console, to_stderr, write_json

    if as_json:
        write_json(report)
    else:
        from rich.table import Table

        table = Table("agent", "temp.", "tools")
        for name in ("rows", "right", "wrong", "failed"):
            table.add_column(name, justify="right")
        for one in report.arms:
            figures = (one.rows, one.right, one.wrong, one.failed)
            table.add_row(clean(one.arm.agent), f"{one.arm.temperature:g}", one.arm.tools, *map(str, figures))
        screen = console()
        screen.print(f"{clean(str(report.out))}: {report.rows} rows" if report.rows else "no rows")
        screen.print(table)
        screen.print(f"used now: {report.usage}")
        if report.rows:
            to_stderr("a data card lies beside the file")
    _warn(report)


def _warn(report: SampleReport) -> None:
    """Tells what is missing; exits with 3 when no agent answered at all."""
    if report.failed_now and report.failed_now == report.done_now:
        exits.complain(f"no agent answered in {report.failed_now} attempts: {report.last_failure}")
        raise typer.Exit(exits.UNAVAILABLE)
    cut = sum(one.cut_off for one in report.arms)
    if cut:
        exits.warn(f"{cut} wrong answers were cut off by the token limit; see --max-tokens")
    if report.stopped:
        done = report.earlier + report.done_now - report.failed_now
        left = sum(one.not_done + one.failed for one in report.arms)
        exits.warn(
            f"the budget of {report.stopped} is used up: {done} attempts are graded, {left} are left; "
            "give the same command to go on"
        )
    elif not report.complete:
        failed, left = (sum(getattr(one, what) for one in report.arms) for what in ("failed", "not_done"))
        rest = f" and {left} were not tried" if left else ""
        exits.warn(f"{failed} attempts failed{rest} ({report.last_failure}); give the same command to try them again")
