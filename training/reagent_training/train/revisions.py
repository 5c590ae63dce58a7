"""Revisions that were paid for, a line each: a run that was killed goes on with the very same ones."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from reagent_sdk.frozen import Frozen
from reagent_sdk.lines import LineFile
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
        path: the file; None keeps nothing on disk.
    """

    def __init__(self, path: Path | None) -> None:
        self._file = None if path is None else LineFile(path)
        self._known: dict[str, Revision] = {}
        for _, line in self._file or ():
            with suppress(ValidationError):  # what cannot be read is asked for anew
                read = Revision.model_validate_json(line)
                self._known[read.key] = read

    def get(self, key: str) -> Revision | None:
        """The revision of a key, if there is one."""
        return self._known.get(key)

    def add(self, revision: Revision) -> None:
        """Keeps a revision."""
        self._known[revision.key] = revision
        if self._file is not None:
            self._file.append(json.dumps(revision.model_dump(), ensure_ascii=True).encode())


def key_of(agent: str, row: LabelledTrajectory, critique: str) -> str:
    """Names what is asked of the agent by its content."""
    asked = [
        agent,
        row.task.model_dump(mode="json", exclude={"id", "metadata"}),
        row.trajectory.model_dump(mode="json"),
    ]
    text = json.dumps([*asked, critique], sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
