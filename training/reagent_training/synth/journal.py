"""What a run has made so far, a line for each task: a run that was killed goes on from here."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

from reagent_sdk.errors import InvalidInput
from reagent_training.data.record import LabelledTrajectory
from reagent_training.synth.record import SynthTask


class Journal:
    """Tasks with their rows, in order.

    Args:
        path: the file; the first line holds the settings that all lines were made with.
        settings: those of this run.

    Raises:
        InvalidInput: the file was made with other settings.
    """

    def __init__(self, path: Path, settings: dict[str, object]) -> None:
        self._path = path
        head = json.dumps(settings, sort_keys=True)
        if not path.is_file() or not path.stat().st_size:
            path.write_text(head + "\n")
        self._drop_torn_line()
        with path.open() as lines:
            found = lines.readline().rstrip("\n")
        if found != head:
            raise InvalidInput(
                f"{path.parent} holds an unfinished set with other settings ({found[:200]}); name another folder, or "
                "give the same settings to go on"
            )

    def entries(self) -> Iterator[tuple[SynthTask, list[LabelledTrajectory]]]:
        """What is there, in order."""
        with self._path.open() as lines:
            next(lines)
            for line in lines:
                entry = json.loads(line)
                rows = [LabelledTrajectory.model_validate(row) for row in entry["rows"]]
                yield SynthTask.model_validate(entry["task"]), rows

    def add(self, task: SynthTask, rows: list[LabelledTrajectory]) -> None:
        """Adds a task; it is kept once this returns, whatever becomes of the process."""
        entry = {"task": task.model_dump(mode="json"), "rows": [row.model_dump(mode="json") for row in rows]}
        with self._path.open("a") as file:
            file.write(json.dumps(entry) + "\n")

    def remove(self) -> None:
        """Removes the file."""
        self._path.unlink()

    def _drop_torn_line(self) -> None:
        """Cuts off the end of a line that was being written when the process died."""
        with self._path.open("rb+") as file:
            data = file.read()
            whole = data.rfind(b"\n") + 1
            if whole < len(data):
                file.seek(whole)
                file.truncate()
                os.fsync(file.fileno())
