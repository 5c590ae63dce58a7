"""What the commands of `reagent train` share: arguments, settings, and how a plan and a report are told."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

ConfigArgument: TypeAlias = Annotated[Path, typer.Argument(metavar="CONFIG", help="A YAML file; see training/recipes.")]
OutOption: TypeAlias = Annotated[
    Path, typer.Option("--out", metavar="FOLDER", help="Takes weights, report and checkpoints; the same one goes on.")
]
SetOption: TypeAlias = Annotated[
    list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Another value for a setting; repeatable.")
]
DryRunOption: TypeAlias = Annotated[
    bool, typer.Option("--dry-run", help="Tell tokens, updates, memory and time, and train nothing.")
]


def needs_training() -> None:
    """Tells before anything is read or written.

    Raises:
        MissingExtra: what training needs is not installed.
    """
    from importlib.util import find_spec

    from reagent_sdk.errors import MissingExtra

    if not all(find_spec(name) for name in ("torch", "trl", "peft", "datasets", "yaml", "matplotlib")):
        raise MissingExtra("training", "training")


def quiet_libraries() -> None:
    """Keeps the notices of transformers off the screen; errors and the bar of the training itself stay."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()


@contextmanager
def told_on_stderr() -> Iterator[None]:
    """Sends what trainers print as they go to stderr: stdout is for what came of it."""
    with redirect_stdout(sys.stderr):
        yield


def changes_of(given: list[str] | None) -> dict[str, Any]:
    """Settings from `--set NAME=VALUE`, values read as YAML.

    Raises:
        InvalidInput: no name, no equals sign, or a value that is not YAML.
    """
    import yaml

    from reagent_sdk.errors import InvalidInput

    changes = {}
    for one in given or []:
        name, equals, value = one.partition("=")
        try:
            changes[name.strip()] = yaml.safe_load(value)
        except yaml.YAMLError:
            equals = ""
        if not equals or not name.strip():
            raise InvalidInput(f"--set takes NAME=VALUE, such as optimiser.max_steps=20, not {one!r:.80}")
    return changes


def run_supervised(recipe: Any, settings: Any, out: Path, *, dry_run: bool, as_json: bool) -> None:
    """Runs a recipe that learns from labelled rows, or tells what it would take.

    Args:
        recipe: the module, with `prepare` and `run`.
        settings: its configuration.
        out: the folder of the run.
        dry_run: whether to tell and train nothing.
        as_json: how to tell.
    """
    quiet_libraries()
    if dry_run:
        from reagent_training.train.plan import plan_for

        ready = recipe.prepare(settings)
        tell_plan(plan_for(settings, ready.train, ready.left_out, ready.model), as_json=as_json)
        return
    with told_on_stderr():
        report = recipe.run(settings, out.expanduser())
    tell_report(report, out, as_json=as_json)


def run_on_rewards(
    recipe: Any, settings: Any, out: Path, plan: Callable[[Any, Any], Any], *, dry_run: bool, as_json: bool
) -> None:
    """The same for a recipe that learns from rewards; a warning about where it starts comes first.

    Args:
        recipe: the module, with `prepare` and `run`.
        settings: its configuration.
        out: the folder of the run.
        plan: makes the plan of settings and what was prepared.
        dry_run: whether to tell and train nothing.
        as_json: how to tell.
    """
    import warnings

    from reagent_sdk.cli.terminal import to_stderr
    from reagent_training.train.start import check_start

    quiet_libraries()
    if warning := check_start(settings):
        to_stderr(warning)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # what was just said
        if dry_run:
            tell_plan(plan(settings, recipe.prepare(settings)), as_json=as_json)
            return
        with told_on_stderr():
            report = recipe.run(settings, out.expanduser())
        tell_report(report, out, as_json=as_json)


def tell_plan(plan: Any, *, as_json: bool) -> None:
    """Prints what a run will take."""
    from reagent_sdk.cli.terminal import console, write_json

    if as_json:
        write_json(plan.model_dump(mode="json"))
        return
    left_out = ", ".join(f"{count} {reason}" for reason, count in plan.left_out.items()) or "nothing"
    rows = {
        "rows": f"{plan.rows:,}, left out: {left_out}",
        "tokens": f"{plan.tokens:,} an epoch, {plan.target_tokens:,} of them targets, longest row {plan.longest:,}",
        "updates": f"{plan.updates:,}",
        "parameters": f"{plan.parameters / 1e6:,.1f} M, trained {plan.trained / 1e6:,.2f} M",
        "memory": f"about {plan.memory_gb:.1f} GB on each device",
        "time": f"about {_span(plan.hours)} on {plan.device}",
    }
    _grid(rows, console())


def tell_report(report: Mapping[str, Any], out: Path, *, as_json: bool) -> None:
    """Prints what came of a run, and how to use it."""
    from reagent_sdk.cli.terminal import console, write_json
    from reagent_training.train.model_card import shown

    if as_json:
        write_json({name: value for name, value in report.items() if name not in ("log", "settings")} | {"out": out})
        return
    last: dict[str, Any] = next((entry for entry in reversed(report["log"]) if "loss" in entry), {})
    rows = {
        "made": report["name"],
        "updates": str(last.get("step", 0)),
        "last loss": f"{last.get('loss', float('nan')):.3f}",
        **{
            f"held out, {arm}": ", ".join(f"{k} {shown(v)}" for k, v in of.items())
            for arm, of in (report.get("validation") or {}).items()
        },
        "files": f"{out}: weights, reagent.json, README.md, report.json, curves.png",
        "use it": _use(report["recipe"], out),
    }
    _grid(rows, console())


def _use(recipe: str, out: Path) -> str:
    if recipe in ("rrm-sft", "rrm-grpo", "critic-outcome"):
        return f"--judge local:{out}   (or, as GGUF: reagent models export {out} judge.gguf --gguf)"
    return f'with_critique("local:{out}", tools=...)   (or, as GGUF: reagent models export {out} agent.gguf --gguf)'


def _grid(rows: Mapping[str, str], screen: Any) -> None:
    from rich.table import Table
    from rich.text import Text

    from reagent_sdk.cli.terminal import clean

    table = Table.grid(padding=(0, 2))
    for label, value in rows.items():
        table.add_row(Text(label, style="cyan"), Text(clean(value)))
    screen.print(table)


def _span(hours: float) -> str:
    return f"{hours * 60:.0f} minutes" if hours < 2 else f"{hours:.1f} hours"
