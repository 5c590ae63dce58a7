"""Commands that other packages bring, found by entry point.

A package registers a `typer.Typer` in its metadata:

    [project.entry-points."reagent_sdk.commands"]
    bench = "reagent_benchmarks.cli:app"

It becomes a group of commands. One that holds a single command and no callback becomes that command, under the name of
the entry point, as typer itself would run it.

The module it names is imported for the root's help, so it must import what is heavy only when a command runs. A
package that is broken is listed as such and disturbs no other command. The root's own commands win over such names.
"""

from __future__ import annotations

import copy
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import typer
from typer.main import get_group

from reagent_sdk.cli.exits import CommandGroup

GROUP = "reagent_sdk.commands"


class PluginGroup(CommandGroup):
    """The root of all commands, its own and those of other packages."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names of the commands, those of other packages last."""
        own = super().list_commands(ctx)
        return [*own, *sorted({point.name for point in entry_points(group=GROUP)} - set(own))]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of a name; other packages are looked at only for names that the root does not have."""
        own = super().get_command(ctx, cmd_name)
        if own is not None:
            return own
        found = next(iter(entry_points(group=GROUP, name=cmd_name)), None)
        return None if found is None else _loaded(found)


def _loaded(point: EntryPoint) -> Any:
    try:
        group = point.load()
        if not isinstance(group, typer.Typer):
            raise TypeError(f"{point.value} is not a typer.Typer")
        root = _root()
        if _is_one_command(group):
            root.registered_commands.append(copy.copy(group.registered_commands[0]))
            root.registered_commands[0].name = point.name
        else:
            root.add_typer(group, name=point.name)
        return get_group(root).commands[point.name]
    except Exception as error:  # whatever a broken package raises
        return _broken(point, error)


def _is_one_command(group: typer.Typer) -> bool:
    return len(group.registered_commands) == 1 and not (group.registered_groups or group.registered_callback)


def _broken(point: EntryPoint, error: Exception) -> Any:
    """Stands in for a group that cannot be loaded: takes any words and says why."""
    from reagent_sdk.cli.terminal import one_line
    from reagent_sdk.errors import InvalidInput

    where = f"the package {point.dist.name}" if point.dist else point.value
    problem = one_line(f"`reagent {point.name}`, which {where} brings, cannot be loaded: {error!r}")
    root = _root()

    @root.command(
        point.name,
        short_help="(cannot be loaded)",
        add_help_option=False,
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    )
    def complain() -> None:
        raise InvalidInput(problem)

    return get_group(root).commands[point.name]


def _root() -> typer.Typer:
    """A group that gives its commands the help of all our commands."""
    return typer.Typer(add_completion=False, rich_markup_mode=None)
