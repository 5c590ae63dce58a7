"""`reagent reproduce mini`: the paper in miniature, in one command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reagent_sdk.cli.options import JsonOption
from reagent_training.train.commands.shared import (
    SetOption,
    changes_of,
    needs_training,
    quiet_libraries,
    told_on_stderr,
)

app = typer.Typer(help="Reproduce the paper's experiment at a size that a laptop can run.")

EXAMPLES = """\b
Examples:
  reagent reproduce mini training/recipes/mini_smoke.yaml --out runs/mini-smoke
  reagent reproduce mini training/recipes/mini_compact.yaml --out runs/mini
  reagent reproduce mini training/recipes/mini_smollm2.yaml --out runs/mini-135m --set seeds=[0,1,2,3,4]
  reagent reproduce mini training/recipes/mini_compact.yaml --out runs/mini-1 --starts-of runs/mini --set judge.weight=1
"""


@app.callback()
def root() -> None:
    """Reproduce the paper's experiment at a size that a laptop can run."""


@app.command("mini", short_help="Base, SFT, Reagent-C, GRPO, R and U.", epilog=EXAMPLES)
def mini(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A YAML file; see training/recipes/mini_*.yaml.")],
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Takes everything; the same one goes on.")],
    changes: SetOption = None,
    jobs: Annotated[
        int, typer.Option(min=1, metavar="N", help="Parts that are trained or measured at a time; one for each core.")
    ] = 1,
    starts_of: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Take tasks, base, agent after SFT and judge from another run, to vary what only the arms depend on.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Train and measure every arm of the paper on generated tool tasks, from one base: agent SFT, then GRPO, Reagent-R
    and Reagent-U at equal steps and at equal generated tokens, and Reagent-C on the agent after SFT.

    Prints the table, and writes it with plots and sample rollouts. A run that was interrupted does what is missing.
    """
    needs_training()
    from reagent_sdk.cli.terminal import to_stderr, to_stdout, write_json
    from reagent_training.mini.config import MiniConfig
    from reagent_training.mini.report import report
    from reagent_training.mini.run import reproduce
    from reagent_training.train.config import load_config

    settings = load_config(config, MiniConfig, changes_of(changes))
    quiet_libraries()
    out, starts_of = out.expanduser(), starts_of and starts_of.expanduser()
    with told_on_stderr():
        results = reproduce(settings, out, to_stderr, jobs=jobs, starts_of=starts_of)
    found = report(settings, out, results)
    if as_json:
        write_json([one.model_dump(mode="json") for one in found.lines])
    else:
        to_stdout(found.markdown)
