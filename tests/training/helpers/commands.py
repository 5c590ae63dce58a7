"""A group of commands as a user meets it: what it prints, and the one line with which it refuses."""

from __future__ import annotations

import typer
from typer.testing import CliRunner, Result

from reagent_sdk.cli.exits import CommandGroup


class Commands:
    """Runs commands in this process.

    Args:
        app: the group.
        first: words that come before all others, such as the name of one command.
    """

    def __init__(self, app: typer.Typer, *first: str) -> None:
        app.info.cls = CommandGroup  # as under `reagent`, so that errors become one line and an exit code
        self._app, self._first = app, first

    def run(self, *words: object, code: int = 0) -> Result:
        """What came of a command that ends with `code`."""
        result = CliRunner().invoke(self._app, [*self._first, *(str(word) for word in words)])
        assert result.exit_code == code, result.output
        return result

    def refused(self, *words: object) -> str:
        """The one line of a command that refuses its input."""
        said = self.run(*words, code=2).stderr
        assert said.startswith("error: ")
        assert said.count("\n") == 1
        return said
