"""`reagent train grade-head`: a sharper grade for a trained judge, in closed form."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reagent_sdk.cli.options import JsonOption
from reagent_training.train.commands.shared import (
    ConfigArgument,
    SetOption,
    changes_of,
    needs_training,
    quiet_libraries,
)

EXAMPLES = """\b
Example:
  reagent train grade-head training/recipes/agent_rrm_tiny.yaml --judge runs/tiny --out runs/tiny-headed
"""


def grade_head(
    config: ConfigArgument,
    judge: Annotated[Path, typer.Option("--judge", metavar="FOLDER", help="An adapter that rrm-sft wrote.")],
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Takes the judge with its head.")],
    changes: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fit a linear probe on what a judge's last layer knows, and write it into the adapter.

    CONFIG names the rows, as for rrm-sft. One forward pass a row; nothing else is trained. The figures are of rows
    whose question the probe did not see.
    """
    needs_training()
    quiet_libraries()
    from reagent_sdk.cli.terminal import console, write_json
    from reagent_training.train.config import SftConfig, load_config
    from reagent_training.train.grade_head import fit_grade_head

    settings = load_config(config, SftConfig, changes_of(changes))
    told = fit_grade_head(settings, judge.expanduser(), out.expanduser())
    if as_json:
        write_json(told | {"out": out})
        return
    from rich.table import Table

    table = Table("source", "rows", "AUROC before", "after", "squared error before", "after")
    for source, of in told["cross-fitted"].items():
        cells = [of[arm][name] for name in ("AUROC", "squared error") for arm in ("before", "after")]
        shown = ["-" if cell is None else f"{cell:.3f}" for cell in cells]
        table.add_row(source, str(of["after"]["rows"]), *shown)
    console().print(table)
    console().print(f"strength {told['strength']:.2f}, penalty {told['penalty']:g}; written to {out}")
