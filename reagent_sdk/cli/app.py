"""The root command: puts the groups together."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from typing import Annotated

import typer
from typer.main import get_command

from reagent_sdk.cli import ask, calibrate, conversion, corpus, demo, doctor, judge, runs, runs_export, score, weights
from reagent_sdk.cli.plugins import PluginGroup

app = typer.Typer(
    cls=PluginGroup,
    name="reagent",
    help="A critique layer for any agent: solve, judge, revise, and never return the worse attempt.",
    epilog="Start with `reagent demo`. If something does not work, `reagent doctor` says what to do about it.",
    rich_markup_mode=None,  # plain help: examples stay on their lines and can be copied
    add_completion=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)
app.command("demo", short_help="Solve real questions with a small local model.", epilog=demo.EXAMPLES)(demo.demo)
app.command("ask", short_help="Answer one question: solve, judge, revise.", epilog=ask.EXAMPLES)(ask.ask)
app.command("score", short_help="Judge stored trajectories.", epilog=score.EXAMPLES)(score.score)
app.command("calibrate", short_help="Measure a judge on labelled work.", epilog=calibrate.EXAMPLES)(calibrate.calibrate)
app.command("doctor", short_help="Check the installation and the judge.", epilog=doctor.EXAMPLES)(doctor.doctor)

runs_app = typer.Typer(help="Look at the run log.")
runs_app.command("list", short_help="The latest runs.", epilog=runs.LIST_EXAMPLES)(runs.list_runs)
runs_app.command("show", short_help="One whole run.", epilog=runs.SHOW_EXAMPLES)(runs.show_run)
runs_app.command("export", short_help="Training rows and traces.", epilog=runs_export.EXAMPLES)(runs_export.export)
app.add_typer(runs_app, name="runs")

models_app = typer.Typer(help="The weights on this machine.")
models_app.command("list", short_help="Known and installed models.", epilog=weights.LIST_EXAMPLES)(weights.list_models)
models_app.command("pull", short_help="Fetch a model's weights.", epilog=weights.PULL_EXAMPLES)(weights.pull_model)
models_app.command("remove", short_help="Delete a model's weights.", epilog=weights.REMOVE_EXAMPLES)(
    weights.remove_model
)
models_app.command("path", short_help="Where the weights lie.", epilog=weights.PATH_EXAMPLES)(weights.path_of_model)
models_app.command("export", short_help="Write weights as a GGUF.", epilog=conversion.EXPORT_EXAMPLES)(
    conversion.export_model
)
models_app.command("unpack", short_help="Write a GGUF as Hugging Face weights.", epilog=conversion.UNPACK_EXAMPLES)(
    conversion.unpack_model
)
app.add_typer(models_app, name="models")
app.add_typer(corpus.app, name="corpus")
app.add_typer(judge.app, name="judge")


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)] = False,
) -> None:
    """A critique layer for any agent."""
    if version:
        from reagent_sdk import __version__
        from reagent_sdk.cli.terminal import to_stdout

        to_stdout(f"reagent {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code.

    Args:
        arguments: the words after `reagent`; the process's own by default.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # models write characters that the locale may lack
    with warnings.catch_warnings():
        if not sys.warnoptions:
            warnings.simplefilter("ignore")
            warnings.filterwarnings("always", module=r"reagent_sdk\.")
        warnings.showwarning = _show_warning
        try:
            get_command(app).main(None if arguments is None else list(arguments), prog_name="reagent")
        except SystemExit as end:
            return end.code if isinstance(end.code, int) else 0
    return 0


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    from reagent_sdk.cli.exits import warn

    warn(str(message))
