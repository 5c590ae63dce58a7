"""`reagent models export` and `unpack`: weights from one container into another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reagent_sdk.cli.options import JsonOption
from reagent_sdk.cli.terminal import console, to_stdout, write_json

if TYPE_CHECKING:
    from reagent_sdk.models.unpack import Dtype

EXPORT_EXAMPLES = """\b
Examples:
  reagent models export runs/judge judge.gguf --gguf --from smollm2-135m-instruct
  reagent models export runs/judge-lora judge.gguf --type f32 --from smollm2-135m-instruct
  reagent models export Llama-3.2-1B-Instruct llama.gguf --type q8_0
"""
UNPACK_EXAMPLES = """\b
Examples:
  reagent models unpack smollm2-135m-instruct weights/smollm2
  reagent models unpack judge.gguf weights/judge --dtype bfloat16
"""


class NumberType(StrEnum):
    """How matrices are stored in a GGUF."""

    F32 = "f32"
    F16 = "f16"
    BF16 = "bf16"
    Q8_0 = "q8_0"


class FolderDtype(StrEnum):
    """How numbers are stored in a folder."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


def export_model(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Hugging Face weights of the Llama family, or a PEFT LoRA adapter.")
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT.gguf", help="The file to write; an older one is replaced.")],
    gguf: Annotated[bool, typer.Option("--gguf", help="As a GGUF, which is the only format so far.")] = True,
    numbers: Annotated[NumberType, typer.Option("--type", help="How matrices are stored.")] = NumberType.F16,
    base: Annotated[
        str | None,
        typer.Option("--from", metavar="BASE", help="The GGUF that was trained further: a name or a file."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write weights as a GGUF for the embedded engine: whole weights as a model, a LoRA as an adapter.

    With --from, tokenizer and metadata are those of the base. A reagent.json beside the weights goes along.
    """
    from reagent_sdk.models.export import export

    _require_known(base)
    with _bar("writing") as show:
        done = export(folder, out, numbers=numbers.value, base=base, progress=show)
    if as_json:
        write_json(done)
    else:
        to_stdout(f"{done.path}: {done.kind} {done.name}, {done.tensors} tensors, {done.bytes / 1e6:.1f} MB")


def unpack_model(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name from `reagent models list`, or a GGUF file.")],
    out: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where to; must not exist yet, or be empty.")],
    dtype: Annotated[FolderDtype, typer.Option("--dtype", help="How numbers are stored.")] = FolderDtype.FLOAT32,
    as_json: JsonOption = False,
) -> None:
    """Write a GGUF as Hugging Face weights: safetensors, tokenizer and chat template, to train or to run elsewhere."""
    from reagent_sdk.models import find
    from reagent_sdk.models.unpack import unpack

    _require_known(name)
    asked: Dtype = "float32" if dtype is FolderDtype.FLOAT32 else "bfloat16"
    folder = unpack(find(name), out.expanduser(), dtype=asked)
    if as_json:
        write_json({"name": name, "path": folder, "dtype": dtype.value})
    else:
        to_stdout(str(folder))


def _require_known(ref: str | None) -> None:
    """Tells a mistyped name, and a file that is not there, from weights that are missing.

    Raises:
        InvalidInput: nothing has that name.
    """
    from reagent_sdk import home
    from reagent_sdk.errors import InvalidInput
    from reagent_sdk.models.registry import KNOWN, did_you_mean

    if ref is None or ref in KNOWN or Path(ref).expanduser().exists() or (home.models_dir() / ref).exists():
        return
    raise InvalidInput(f"there is neither a model nor a file called {ref!r}{did_you_mean(ref, KNOWN)}")


@contextmanager
def _bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on stderr, only where it can move."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    screen = console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
