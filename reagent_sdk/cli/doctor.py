"""`reagent doctor`: what is there, what is not, and what to do about it."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import typer

from reagent_sdk.cli.exits import UNAVAILABLE
from reagent_sdk.cli.options import JsonOption, JudgeOption, ModelOption
from reagent_sdk.cli.terminal import clean, console, write_json

if TYPE_CHECKING:
    from rich.table import Table

    from reagent_sdk.cli.checks import Check

EXAMPLES = """\b
Examples:
  reagent doctor
  reagent doctor --judge http://127.0.0.1:8001/v1
  reagent doctor --json | jq '.checks[] | select(.status == "fail")'
"""

_STYLES = {"ok": "green", "fail": "bold red", "info": "yellow"}


def doctor(judge: JudgeOption = None, model: ModelOption = "local", as_json: JsonOption = False) -> None:
    """Check the installation, and say what to do about what does not work.

    Exits with 0 if the judge that would be used can be used, else with 3. Makes no paid calls.
    """
    from reagent_sdk import home
    from reagent_sdk.cli.checks import machine_checks

    spec, origin = _judge(judge)
    checks = machine_checks(home.runs_file()) + asyncio.run(_probe(spec, origin, model))
    usable = not any(check.status == "fail" and check.name.startswith("judge") for check in checks)
    if as_json:
        write_json({"judge_usable": usable, "checks": [vars(check) for check in checks]})
    else:
        screen = console()
        screen.print(_table(checks))
        screen.print("The judge can be used." if usable else "The judge cannot be used; see above.", style="bold")
    if not usable:
        raise typer.Exit(UNAVAILABLE)


def _judge(given: str | None) -> tuple[str, str]:
    """The judge's spec and who says so."""
    from reagent_sdk.specs import JUDGE_VARIABLE

    if given:
        return given, "--judge"
    named = os.environ.get(JUDGE_VARIABLE)
    return (named, f"${JUDGE_VARIABLE}") if named else ("local", f"default, ${JUDGE_VARIABLE} is not set")


async def _probe(judge: str, origin: str, model: str) -> list[Check]:
    from reagent_sdk.cli.probing import judge_checks, model_checks

    return [*await judge_checks(judge, origin), *await model_checks(model)]


def _table(checks: list[Check]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for check in checks:
        mark = Text({"ok": "ok", "fail": "FAIL", "info": "-"}[check.status], style=_STYLES[check.status])
        detail = Text(clean(check.detail))
        if check.fix:
            detail.append(f"\n-> {clean(check.fix)}", style="bold")
        table.add_row(mark, Text(check.name, style="cyan"), detail)
    return table
