"""The file of verdicts that `reagent score` writes, and goes on with after an interruption."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Self, TextIO

from pydantic import ValidationError

from reagent_sdk.cli.tally import Tally
from reagent_sdk.cli.terminal import as_json
from reagent_sdk.errors import InvalidInput
from reagent_sdk.frozen import Frozen
from reagent_sdk.records import Record
from reagent_sdk.replacing import replacing
from reagent_sdk.verdict import Verdict, VerdictStatus

_BEGIN = b'{"id": "'
"""How our lines begin: what breaks off after something else is not ours to remove."""


class Scored(Frozen):
    """One line of the file."""

    id: str
    line: int
    verdict: Verdict


@dataclass(frozen=True)
class Earlier:
    """What an existing file holds already.

    Attributes:
        tally: counts of the verdicts that stay.
        again: verdicts to drop because the judge was unavailable for them.
        doubled: verdicts to drop because their id has one already, as two processes at one file leave them.
        torn: the last line breaks off, as a killed process leaves it.
        open_end: the last line has no end; what is appended would run into it.
    """

    tally: Tally = field(default_factory=Tally)
    again: int = 0
    doubled: int = 0
    torn: bool = False
    open_end: bool = False


def read_earlier(path: Path, judges: Collection[str], heard: Callable[[str, int], bool]) -> Earlier:
    """Looks through an existing file; it is left as it is.

    Args:
        path: the file.
        judges: names that the judge who goes on puts on its verdicts.
        heard: takes the id and the line of each verdict that stays; False says that the id has one already.

    Raises:
        InvalidInput: it holds something else than verdicts, or those of another judge.
    """
    tally, again, doubled, torn, whole = Tally(), 0, 0, False, True
    for number, line, whole in _lines(path):
        scored = _parse(line)
        if scored is None:
            if whole or not line.startswith(_BEGIN[: len(line)]):
                raise InvalidInput(f"{path}, line {number} is not a verdict; pass another file as --out")
            torn = True
        elif scored.verdict.status is VerdictStatus.UNAVAILABLE:
            again += 1
        elif scored.verdict.judge not in judges:
            wanted = " or ".join(map(repr, judges))
            raise InvalidInput(
                f"{path} holds verdicts of the judge {scored.verdict.judge!r}, not of {wanted}, "
                "and scores of different judges cannot be compared; pass another file as --out"
            )
        elif heard(scored.id, number):
            tally.add(scored.verdict, now=False)
        else:
            doubled += 1
    return Earlier(tally, again, doubled, torn, open_end=not whole)


def repair(path: Path, stays: Callable[[str, int], bool]) -> None:
    """Rewrites the file in one step, with only those verdicts of which `stays`, given id and line, says so."""
    with replacing(path) as draft:
        for number, line, _ in _lines(path):
            scored = _parse(line)
            if scored is not None and stays(scored.id, number):
                draft.write(line.rstrip(b"\n") + b"\n")


class VerdictFile:
    """Appends verdicts to a file, or writes them to a stream, each at once and whole."""

    def __init__(self, target: Path | TextIO) -> None:
        self._path = target if isinstance(target, Path) else None
        self._stream = None if isinstance(target, Path) else target
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("ab", buffering=0)
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, record: Record, verdict: Verdict) -> None:
        """Writes one verdict."""
        self.write(Scored(id=record.id, line=record.line, verdict=verdict))

    def write(self, scored: Scored) -> None:
        """Writes one line."""
        text = as_json(scored) + "\n"
        if self._file is not None:
            self._file.write(text.encode())
        elif self._stream is not None:
            self._stream.write(text)
            self._stream.flush()


def _lines(path: Path) -> Iterator[tuple[int, bytes, bool]]:
    """Numbered lines that are not blank, and whether each is whole."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield number, line, line.endswith(b"\n")


def _parse(line: bytes) -> Scored | None:
    try:
        return Scored.model_validate_json(line)
    except ValidationError:
        return None
