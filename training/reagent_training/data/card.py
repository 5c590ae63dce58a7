"""The data card beside every set: what it holds, where it comes from, what was left out. As JSON and as Markdown."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from reagent_sdk.errors import InvalidInput
from reagent_sdk.frozen import Frozen
from reagent_sdk.replacing import replacing
from reagent_training.data.files import write_set
from reagent_training.data.record import LabelledTrajectory
from reagent_training.data.summary import Counting, Summary

_CHUNK = 1 << 20


class Step(Frozen):
    """One command that had a part in making the set."""

    command: str
    inputs: dict[str, str] = Field(default_factory=dict, description="file or hub id -> SHA-256, empty where unknown")
    settings: dict[str, Any] = Field(default_factory=dict)
    left_out: dict[str, int] = Field(default_factory=dict, description="reason -> rows")


class SplitInfo(Frozen):
    """Which part of a split a file is. Shares are of the groups."""

    part: str
    seed: int
    shares: dict[str, float]
    rows: dict[str, int]
    groups: dict[str, int]


class DataCard(Frozen):
    """What is to be known of a file of labelled trajectories."""

    schema_version: Literal[1] = 1
    file: str
    sha256: str
    bytes: int
    tool: str = Field(description="name and version of what wrote it")
    summary: Summary
    steps: tuple[Step, ...]
    split: SplitInfo | None = None


def publish(
    records: Iterable[LabelledTrajectory], path: Path, steps: Iterable[Step], split: SplitInfo | None = None
) -> DataCard:
    """Writes a set, then its card, each file in one step. On an error in the rows nothing is written.

    Args:
        records: the rows.
        path: where to.
        steps: how they came to be, the oldest first; read after the rows have passed, so a converter may count until
            the end.
        split: which part of a split they are.

    Raises:
        InvalidInput: as `write_set`.
    """
    counting = Counting()
    write_set(counting.passing(records), path)
    card = DataCard(
        file=path.name,
        sha256=sha256_of(path),
        bytes=path.stat().st_size,
        tool=f"reagent-sdk {version('reagent-sdk')}",
        summary=counting.summary(),
        steps=tuple(steps),
        split=split,
    )
    from reagent_training.data.card_text import markdown

    for place, text in zip(card_paths(path), (card.model_dump_json(indent=2), markdown(card)), strict=True):
        with replacing(place) as draft:
            draft.write(f"{text}\n".encode())
    return card


def card_paths(path: Path) -> tuple[Path, Path]:
    """Where the card of a set lies: JSON and Markdown."""
    return path.with_name(f"{path.name}.card.json"), path.with_name(f"{path.name}.card.md")


def earlier_steps(path: Path) -> tuple[Step, ...]:
    """The steps that made a file, by its card; none where it has no card, or one of another file.

    Raises:
        InvalidInput: the card is damaged.
    """
    place, _ = card_paths(path)
    if not place.exists():
        return ()
    try:
        card = DataCard.model_validate_json(place.read_bytes())
    except (ValidationError, ValueError) as error:
        raise InvalidInput(f"{place} is no data card of this release ({str(error).splitlines()[0]})") from None
    return card.steps if card.sha256 == sha256_of(path) else ()


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes.

    Raises:
        InvalidInput: it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise InvalidInput(f"cannot read {path}: {error.strerror}") from None
    return digest.hexdigest()
