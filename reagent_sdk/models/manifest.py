"""`reagent.json`: what a set of weights is, who judged it and by which prompt it wants to be asked."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field, ValidationError

from reagent_sdk.errors import InvalidInput, WeightsUnavailable
from reagent_sdk.frozen import Frozen, first_problem

FILE_NAME = "reagent.json"


def _inside(name: str) -> str:
    path = PurePosixPath(name)
    if not name or path.is_absolute() or ".." in path.parts or "\\" in name:
        raise ValueError("must be a path inside the manifest's own folder")
    return name


class Manifest(Frozen):
    """The card of one set of weights. Keys that a newer version added are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    role: Literal["judge", "agent", "base"]
    prompt_version: str | None = Field(None, description="the judge prompt that the weights were trained on")
    max_chars: int | None = Field(
        None, ge=1_000, description="room for the record in the judge's prompt during training, in characters"
    )
    instructions: str = Field("", description="the system message that an agent was trained under")
    base_model: str | None = Field(None, description="name or hub id of the model that was trained further")
    recipe: str | None = Field(None, description="training recipe and where to find it")
    data: tuple[str, ...] = Field((), description="data sets used, with their versions")
    figures: dict[str, float] = Field(default_factory=dict, description="evaluation results by metric")
    gate: float | None = Field(None, ge=0, le=1, description="accept threshold fitted for these weights")
    caveat: str = Field("", description="what every run that uses these weights should say about them")
    files: tuple[Annotated[str, AfterValidator(_inside)], ...] = Field((), description="weights, relative to this file")


def read_manifest(folder_or_file: str | Path) -> Manifest | None:
    """Reads the manifest of a folder, or the one that lies beside a weights file and does not exclude it.

    Returns:
        None when there is no manifest.

    Raises:
        WeightsUnavailable: there is one and it cannot be read.
    """
    given = Path(folder_or_file).expanduser()
    path = given if given.name == FILE_NAME else (given if given.is_dir() else given.parent) / FILE_NAME
    if not path.is_file():
        return None
    try:
        manifest = Manifest.model_validate_json(path.read_bytes())
    except OSError as error:
        raise WeightsUnavailable(f"cannot read {path}: {error.strerror}") from error
    except ValidationError as error:
        raise WeightsUnavailable(f"{path} is not a valid manifest ({first_problem(error, 'file')})") from None
    if given.is_dir() or given == path or not manifest.files:
        return manifest
    return manifest if given.name in manifest.files else None


def write_manifest(folder: str | Path, manifest: Manifest) -> Path:
    """Writes the manifest into a folder of weights and returns its path."""
    path = Path(folder) / FILE_NAME
    path.write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return path


def for_export(source: Path, target: Path) -> Manifest | None:
    """The manifest of a folder of weights as it has to lie beside a file that is made of them.

    Returns:
        None when the folder has none.

    Raises:
        InvalidInput: a manifest of other weights lies there and would speak for the file.
        WeightsUnavailable: one of the two cannot be read.
    """
    ours, there = read_manifest(source), read_manifest(target.with_name(FILE_NAME))
    if there is None:
        return ours and ours.model_copy(update={"files": (target.name,)})
    same = ours is not None and ours.model_copy(update={"files": there.files}) == there
    if ours is None and there.files and target.name not in there.files:
        return None
    if ours is None or not same:
        raise InvalidInput(f"{target.parent} holds the {FILE_NAME} of other weights ({there.name}); export elsewhere")
    others = tuple(name for name in there.files if name != target.name)
    return there.model_copy(update={"files": (*others, target.name)})
