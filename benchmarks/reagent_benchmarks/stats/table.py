"""The summary as a person reads it."""

from __future__ import annotations

from collections.abc import Iterable

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from reagent_benchmarks.outcomes import ArmResult
from reagent_benchmarks.stats.figures import cost, count, points, probability, share
from reagent_benchmarks.stats.rows import BARE
from reagent_benchmarks.stats.summary import ArmSummary, Summary, summarise
from reagent_sdk.cli.terminal import clean, one_line
from reagent_sdk.cli.terminal import console as plain_console

NOTE = (
    "intervals: 95%, bootstrap over questions; difference in points; p: McNemar's exact test; no score: the judge "
    "failed; no grade: rows that are in no accuracy; calls, tokens, cost, seconds: a question"
)


def print_summary(
    results: Iterable[ArmResult], *, bare: str = BARE, seed: int = 0, console: Console | None = None
) -> None:
    """Prints a table for each benchmark, with one row for each arm.

    Raises:
        InvalidInput: no rows, or one of them twice.
    """
    show(summarise(results, bare=bare, seed=seed), console or plain_console())


def show(summaries: Iterable[Summary], console: Console) -> None:
    """Prints what `summarise` found."""
    for one in summaries:
        console.print(Group(_table(one), *_prices(one), *(Text(clean(line), style="yellow") for line in one.warnings)))
    console.print(Text(NOTE, style="dim"))


def _table(summary: Summary) -> Table:
    title = Text(clean(summary.benchmark), style="bold")
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, leading=1, pad_edge=False, collapse_padding=True)
    table.add_column("arm", overflow="fold", min_width=8)
    against = f"against\n{one_line(summary.bare, 12)}"
    spent = "calls\ntokens\ncost\nseconds"
    for name in ("n", "right", against, "fixed\nbroken", "p", "no score\nno grade", spent):
        table.add_column(Text(name), justify="right", no_wrap=True)
    for arm in summary.arms:
        table.add_row(*map(Text, (clean(arm.arm), *_cells(arm))))
    return table


def _cells(arm: ArmSummary) -> list[str]:
    against = arm.against
    return [
        f"{arm.rows}",
        share(arm.accuracy, between="\n") + "".join(f"\n@{one.k}: {_pass(one.share.value)}" for one in arm.pass_at),
        points(against.difference, between="\n") if against else "",
        f"{against.fixed}\n{against.broken}" if against else "",
        probability(against.p_value) if against else "",
        f"{arm.judge_failed}\n{arm.rows - arm.graded}",
        f"{arm.calls:.1f}\n{count(arm.tokens)}\n{cost(arm.cost_usd)}\n{arm.seconds:.1f} s",
    ]


def _pass(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _prices(summary: Summary) -> list[Text]:
    """What one more right answer takes, a line for each arm that has any."""
    lines = []
    for arm in summary.arms:
        against = arm.against
        if against and against.tokens_per_answer is not None:
            price = "" if against.cost_per_answer is None else f" ({cost(against.cost_per_answer)})"
            lines.append(
                f"{arm.arm}: one more right answer takes {count(against.tokens_per_answer)} more tokens{price}"
            )
    return [Text(clean(line)) for line in lines]
