"""The group `reagent bench`."""

from __future__ import annotations

import typer

from reagent_benchmarks.cli import judge

app = typer.Typer(help="Measure judges on public data sets.")


@app.callback()
def root() -> None:
    """Measure judges on public data sets."""


app.command("judge", short_help="How well a judge tells right from wrong work.", epilog=judge.EXAMPLES)(judge.judge)
