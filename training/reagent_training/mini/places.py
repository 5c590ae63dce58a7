"""Where the parts of a reproduction lie, and which of them are done: a run that was interrupted does only the rest."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reagent_sdk.models.manifest import FILE_NAME
from reagent_training.train.report import REPORT


@dataclass(frozen=True)
class Places:
    """The folders of a run.

    Attributes:
        out: of the whole run.
    """

    out: Path

    @property
    def settings(self) -> Path:
        """What the run was told, but for its arms and seeds."""
        return self.out / "mini.json"

    @property
    def world(self) -> Path:
        """All tasks."""
        return self.out / "world"

    @property
    def train(self) -> Path:
        """Tasks to learn from, with labelled work on them."""
        return self.world / "train"

    @property
    def test(self) -> Path:
        """Held-out tasks."""
        return self.world / "test"

    @property
    def base(self) -> Path:
        """The compact base, where one is made."""
        return self.out / "base"

    @property
    def agent(self) -> Path:
        """The agent after SFT, from which all arms start."""
        return self.out / "agent-sft"

    @property
    def judge(self) -> Path:
        """The trained judge."""
        return self.out / "judge"

    def arm(self, arm: str, seed: int) -> Path:
        """An arm's run."""
        return self.out / "arms" / f"{arm}-{seed}"

    @property
    def measured(self) -> Path:
        """Measured rows."""
        return self.out / "results"

    def results(self, name: str) -> Path:
        """Measured rows of one set of weights."""
        return self.measured / f"{name}.jsonl"


def finished(folder: Path) -> bool:
    """Whether a recipe has come to its end there."""
    return (folder / FILE_NAME).is_file()


def log_of(folder: Path) -> list[dict[str, Any]]:
    """What the trainer of a finished run logged, an entry for each update and some for the whole."""
    log: list[dict[str, Any]] = json.loads((folder / REPORT).read_text(encoding="utf-8"))["log"]
    return log
