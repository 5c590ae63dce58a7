"""Options that several commands share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

SPEC_FORMS = "local, local:NAME_OR_PATH, http://HOST:PORT/v1[#MODEL], hf:NAME_OR_PATH or provider/model"
COMPOSED_FORMS = "first:A|B, mean:A|B, median:5*A, min:A|B, steps:A, calibrated:FILE"

JudgeOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--judge",
        metavar="SPEC",
        help=f"The judge: {SPEC_FORMS}; composed: {COMPOSED_FORMS}. Without it $REAGENT_JUDGE, else the local model.",
    ),
]
ModelOption: TypeAlias = Annotated[str, typer.Option("--model", metavar="SPEC", help=f"The model: {SPEC_FORMS}.")]
JsonOption: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Write JSON to stdout and nothing else; notices go to stderr.")
]
LogOption: TypeAlias = Annotated[
    Path | None, typer.Option("--log", metavar="PATH", help="The run log; by default the one that `ask` writes.")
]


def log_path(given: Path | None) -> Path:
    """The run log that is meant.

    Raises:
        InvalidInput: one is named that does not exist.
    """
    from reagent_sdk import home
    from reagent_sdk.errors import InvalidInput

    if given is not None and not given.expanduser().exists():
        raise InvalidInput(f"there is no run log {given}; `reagent ask --log {given} ...` would start one")
    return given.expanduser() if given else home.runs_file()


def judge_spec(given: str | None) -> str:
    """The judge that is meant: the option, else `$REAGENT_JUDGE`, else the local one.

    Raises:
        InvalidInput: as :func:`check_spec`.
    """
    from reagent_sdk.specs import JUDGE_VARIABLE

    spec = given or os.environ.get(JUDGE_VARIABLE) or "local"
    check_spec(spec)
    return spec


def check_spec(spec: str) -> None:
    """Tells a mistyped model name from weights that are missing.

    Raises:
        InvalidInput: `local:NAME` with a name that nobody knows.
    """
    from reagent_sdk import home
    from reagent_sdk.errors import InvalidInput
    from reagent_sdk.models import SHIPPED
    from reagent_sdk.models.registry import KNOWN, did_you_mean

    spec = spec.removeprefix("steps:")
    if not spec.startswith("local:"):
        return
    names = {*KNOWN, *SHIPPED}
    name = spec.removeprefix("local:").partition("?")[0]
    plain = name and Path(name).name == name and not name.endswith(".gguf")
    if plain and name not in names and not Path(name).exists() and not (home.models_dir() / name).exists():
        raise InvalidInput(f"unknown model {name!r}{did_you_mean(name, names)}")


def writable_log(path: Path) -> Path:
    """The log that a run is to be appended to, with `~` expanded; checked before anything is paid for.

    Raises:
        InvalidInput: it cannot be written.
    """
    from reagent_sdk.errors import InvalidInput

    path = path.expanduser()
    wrong = unwritable(path)
    if wrong:
        raise InvalidInput(f"the run log {path} cannot be written ({wrong}); pass another --log, or set REAGENT_HOME")
    return path


def unwritable(path: Path) -> str:
    """Why nothing could be appended to a file; empty if it could. Looks, and creates nothing."""
    nearest = next(one for one in (path, *path.absolute().parents) if one.exists())
    if path.is_dir():
        return "it is a folder"
    if nearest != path and not nearest.is_dir():
        return f"{nearest} is not a folder"
    return "" if os.access(nearest, os.W_OK) else f"no permission to write {nearest}"
