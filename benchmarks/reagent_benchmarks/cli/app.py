"""The group `reagent bench`."""

from __future__ import annotations

import typer

from reagent_benchmarks.cli import judge, run

app = typer.Typer(help="Measure agents and judges on public data sets.")


@app.callback()
def root() -> None:
    """Measure agents and judges on public data sets."""


app.command("judge", short_help="How well a judge tells right from wrong work.", epilog=judge.EXAMPLES)(judge.judge)
app.command("run", short_help="What critique does for an agent on a benchmark.", epilog=run.RUN_EXAMPLES)(run.run)
app.command("table", short_help="The tables of runs that are there.", epilog=run.TABLE_EXAMPLES)(run.table)
app.command("list", short_help="The benchmarks that there are.")(run.list_sets)
