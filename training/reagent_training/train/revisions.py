"""Revisions that were paid for, a line each: a run that was killed goes on with the very same ones."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from pydantic import ValidationError

from reagent_sdk.frozen import Frozen
from reagent_training.data.record import LabelledTrajectory


class Revision(Frozen):
    """What the agent made of a critique.

    Attributes:
        key: names agent, work and critique by their content.
        answer: the agent's new answer.
        cut_off: whether a limit cut it off.
    """

    key: str
    answer: str
    cut_off: bool = False


class Revisions:
    """Revisions by key, in memory and in a file of one process.

    Args:
        path: the file; a torn last line, from a process that was killed, is cut off. None keeps nothing on disk.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._known: dict[str, Revision] = {}
        if path is not None and path.is_file():
            self._read(path)

    def get(self, key: str) -> Revision | None:
        """The revision of a key, if there is one."""
        return self._known.get(key)

    def add(self, revision: Revision) -> None:
        """Keeps a revision."""
        self._known[revision.key] = revision
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab") as file:
                file.write(json.dumps(revision.model_dump(), ensure_ascii=True).encode() + b"\n")

    def _read(self, path: Path) -> None:
        whole = 0
        with path.open("rb") as lines:
            for line in lines:
                if not line.endswith(b"\n"):
                    break
                whole += len(line)
                try:
                    read = Revision.model_validate_json(line)
                except ValidationError:
                    continue  # what cannot be read is asked for anew
                self._known[read.key] = read
        with path.open("r+b") as file:
            file.truncate(whole)


def key_of(agent: str, row: LabelledTrajectory, critique: str) -> str:
    """Names what is asked of the agent by its content."""
    asked = [
        agent,
        row.task.model_dump(mode="json", exclude={"id", "metadata"}),
        row.trajectory.model_dump(mode="json"),
    ]
    text = json.dumps([*asked, critique], sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
