"""What a long run has paid for so far, a line for each piece of work: a run that was killed goes on from here.

The file lies beside the set that is being made and goes away when nothing is left to do. Its first line holds the
settings that all lines were made with.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from reagent_sdk.errors import InvalidInput
from reagent_sdk.frozen import Frozen
from reagent_sdk.lines import LineFile
from reagent_training.data.record import LabelledTrajectory


class Entry(Frozen):
    """How one piece of work came out.

    Attributes:
        key: which piece.
        status: how it ended, in one word.
        reason: why there is no row; empty where there is one.
        row: what came of it.
    """

    key: str
    status: str
    reason: str = ""
    row: LabelledTrajectory | None = None


class Journal:
    """Entries of a run, by key; a later entry of a key takes the place of an earlier one.

    Reading leaves the file as it is. It is made, and a torn last line cut off, when the first entry is added.

    Args:
        out: the set that the run makes.
        settings: those of this run, plain data.

    Raises:
        InvalidInput: the set is there already, or the journal was made with other settings or is damaged.
    """

    def __init__(self, out: Path, settings: Mapping[str, Any]) -> None:
        self._file = LineFile(out.with_name(f".{out.name}.journal.jsonl"))
        self.status: dict[str, str] = {}
        self._places: dict[str, int] = {}
        self._head = json.dumps(dict(settings), sort_keys=True)
        self._begun = False
        if self.path.is_file():
            self._read(out)
        elif out.exists():
            raise InvalidInput(f"{out} is there already, and finished; name another file or move it away")

    @property
    def path(self) -> Path:
        """The file."""
        return self._file.path

    def add(self, entry: Entry) -> None:
        """Adds an entry; it is kept once this returns, whatever becomes of the process."""
        if not self._begun:
            self._file.append(self._head.encode())
            self._begun = True
        self._places[entry.key] = self._file.append(json.dumps(entry.model_dump(mode="json")).encode())
        self.status[entry.key] = entry.status

    def row(self, key: str) -> LabelledTrajectory | None:
        """The row of a key; None where there is none."""
        if key not in self._places:
            return None
        return self._entry(self._file.at(self._places[key]), key).row

    def remove(self) -> None:
        """Removes the file."""
        self._file.remove()

    def _read(self, out: Path) -> None:
        for number, (place, line) in enumerate(self._file, start=1):
            if number == 1:
                if line.decode(errors="replace") != self._head:
                    raise InvalidInput(_other_settings(out, line, self._head))
                self._begun = True
                continue
            entry = self._entry(line, f"line {number}")
            self._places[entry.key], self.status[entry.key] = place, entry.status

    def _entry(self, line: bytes, where: str) -> Entry:
        try:
            return Entry.model_validate_json(line)
        except ValidationError as error:
            said = error.errors(include_url=False)[0]["msg"]
            raise InvalidInput(
                f"{self.path}, {where} is damaged ({said:.200}); remove the file to start anew"
            ) from None


@contextmanager
def held(out: Path) -> Iterator[None]:
    """Keeps other processes away from a set while it is made; the system frees it when this process dies.

    Raises:
        InvalidInput: another process makes it.
    """
    from filelock import FileLock, Timeout

    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(out.with_name(f".{out.name}.lock"), timeout=0):
            yield
    except Timeout:
        raise InvalidInput(f"another run is making {out}; wait for it, or name another file") from None


def _other_settings(out: Path, head: bytes, mine: str) -> str:
    try:
        there, now = json.loads(head), json.loads(mine)
        differ = [name for name in {**there, **now} if there.get(name) != now.get(name)]
    except (ValueError, AttributeError):
        return f"the journal of {out} is damaged; remove it to start anew"
    shown = "; ".join(f"{name}: {there.get(name)!r:.80} there, {now.get(name)!r:.80} now" for name in differ)
    return f"{out} was begun with other settings ({shown}); give the same to go on, or name another file"
