"""Exit codes of the command, and how errors become one line on stderr.

0    done; also when only the judge failed and a draft could be kept
1    anything else that went wrong, such as a full disk
2    bad input: options, files, names
3    the judge or the model is unavailable, or there is no answer worth giving
130  interrupted with Ctrl-C
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import typer
from typer.core import TyperGroup

DONE = 0
FAILED = 1
BAD_INPUT = 2
UNAVAILABLE = 3
INTERRUPTED = 130

_MAX_LINE = 2_000


class CommandGroup(TyperGroup):
    """The root of all commands: reports errors in one line, without usage boxes and tracebacks."""

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None, *rest: Any, **extra: Any) -> Any:
        """Runs a command and exits the process with its code."""
        extra["standalone_mode"] = False
        try:
            code = super().main(args, prog_name, *rest, **extra)
        except Exception as error:
            described = _usage_error(error)
            if described is None:
                raise
            complain(described)
            code = BAD_INPUT
        sys.exit(code if isinstance(code, int) else DONE)

    def invoke(self, ctx: Any) -> Any:
        """Runs a command and turns what it raises into an exit code."""
        from reagent_sdk.errors import ReagentError

        try:
            result = super().invoke(ctx)
            sys.stdout.flush()  # here, where a reader that went away can still be dealt with
            return result
        except KeyboardInterrupt:
            complain("interrupted")
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            _mute_stdout()
            raise typer.Exit(FAILED) from None
        except ReagentError as error:
            complain(str(error))
            raise typer.Exit(code_of(error)) from None
        except OSError as error:
            complain(f"{error.filename}: {error.strerror}" if error.filename else str(error))
            raise typer.Exit(FAILED) from None


def code_of(error: Exception) -> int:
    """The exit code of an error."""
    from reagent_sdk import errors

    unavailable = (
        errors.ModelError,
        errors.WeightsUnavailable,
        errors.MissingExtra,
        errors.JudgeFailed,
        errors.LowScore,
        errors.AgentError,
        errors.BudgetExceeded,
    )
    if isinstance(error, errors.InvalidInput):
        return BAD_INPUT
    return UNAVAILABLE if isinstance(error, unavailable) else FAILED


def complain(message: str, *, kind: str = "error") -> None:
    """Writes one line to stderr, whatever the message holds."""
    from reagent_sdk.cli.terminal import one_line, to_stderr

    to_stderr(f"{kind}: {one_line(message, _MAX_LINE)}")


def warn(message: str) -> None:
    """Writes a warning to stderr."""
    complain(message, kind="warning")


def _usage_error(error: Exception) -> str | None:
    """What is wrong with the command line; None for any other error.

    By shape and not by type: typer carried click's classes along under changing names.
    """
    describe = getattr(error, "format_message", None)
    if describe is None or not hasattr(error, "exit_code"):
        return None
    context = getattr(error, "ctx", None)
    hint = f" (see `{context.command_path} --help`)" if context is not None else ""
    return f"{str(describe()).rstrip('.')}{hint}"


def _mute_stdout() -> None:
    """Sends what is still buffered nowhere, or the interpreter would complain about it at exit."""
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
