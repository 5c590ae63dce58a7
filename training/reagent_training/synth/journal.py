"""What a run has made so far, a line for each task: a run that was killed goes on from here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from reagent_sdk.errors import InvalidInput
from reagent_sdk.lines import LineFile
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
        self._file = LineFile(path)
        head = json.dumps(settings, sort_keys=True)
        found = next((line.decode(errors="replace") for _, line in self._file), None)
        if found is None:
            self._file.append(head.encode())
        elif found != head:
            raise InvalidInput(
                f"{path.parent} holds an unfinished set with other settings ({found[:200]}); name another folder, or "
                "give the same settings to go on"
            )

    def entries(self) -> Iterator[tuple[SynthTask, list[LabelledTrajectory]]]:
        """What is there, in order."""
        for _, line in islice(self._file, 1, None):
            entry = json.loads(line)
            rows = [LabelledTrajectory.model_validate(row) for row in entry["rows"]]
            yield SynthTask.model_validate(entry["task"]), rows

    def add(self, task: SynthTask, rows: list[LabelledTrajectory]) -> None:
        """Adds a task; it is kept once this returns, whatever becomes of the process."""
        entry = {"task": task.model_dump(mode="json"), "rows": [row.model_dump(mode="json") for row in rows]}
        self._file.append(json.dumps(entry).encode())

    def remove(self) -> None:
        """Removes the file."""
        self._file.remove()
