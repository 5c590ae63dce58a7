"""Rollouts that are kept along the way, and the page of them at the end: what curves do not show."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

from reagent_benchmarks.outcomes import ArmResult

from reagent_sdk.replacing import replacing
from reagent_training.agent_rl.config import AgentConfig
from reagent_training.agent_rl.results import made_of, result_of, run_of
from reagent_training.agent_rl.stages import Row
from reagent_training.train.running import rank

FOLDER, PAGE = "samples", "samples.html"


class Samples:
    """Keeps one task's rollouts of some updates, a file each, so that a run that goes on writes the same ones.

    Args:
        out: the folder of the run.
        config: says how many.
    """

    def __init__(self, out: Path, config: AgentConfig) -> None:
        self._out = out
        self._config = config
        updates = config.optimiser.max_steps or 0
        self._every = max(1, math.ceil(updates / max(1, config.samples))) if updates else 10

    def keep(self, update: int, rows: Sequence[Row]) -> None:
        """Keeps the first task of a batch, where it is this update's turn."""
        if not self._config.samples or update % self._every or rank():
            return
        folder = self._out / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        same = [row for row in rows if row.question.name == rows[0].question.name]
        width = 2 if self._config.revises else 1
        results = [self._result(update, same[at : at + width], at // width) for at in range(0, len(same), width)]
        with replacing(folder / f"{update:06d}.json") as file:
            file.write(json.dumps([one.model_dump(mode="json") for one in results if one]).encode())

    def read(self) -> list[ArmResult]:
        """What was kept, in the order of the updates."""
        files = sorted((self._out / FOLDER).glob("*.json"))
        return [ArmResult.model_validate(one) for file in files for one in json.loads(file.read_bytes())]

    def write_page(self) -> Path | None:
        """Writes the page; None where nothing was kept, or another process writes it."""
        results = [] if rank() else self.read()
        if not results:
            return None
        from reagent_benchmarks.page import write_page

        facts = {"recipe": self._config.recipe, "base": self._config.base, "seed": str(self._config.seed)}
        write_page(results, self._out / PAGE, title=f"{self._config.name}: sample rollouts", facts=facts)
        return self._out / PAGE

    def _result(self, update: int, rows: Sequence[Row], place: int) -> ArmResult | None:
        made = made_of(rows)
        if not made:
            return None
        last = len(made) - 1
        return result_of(
            made,
            last,
            benchmark=self._config.name,
            sample=f"update {update}: {made[0].question.name}",
            epoch=place + 1,
            seed=self._config.seed,
            arm=self._config.recipe,
            run=run_of(made, last, id=f"{update}-{place}"),
        )
