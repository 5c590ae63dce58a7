"""The parts of a reproduction: each reads what came before it from the folder, and can run in a process of its own."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread
from typing import Literal

from reagent_training.agent_rl.config import Tasks
from reagent_training.mini import settings
from reagent_training.mini.config import MiniConfig
from reagent_training.mini.places import Places, finished
from reagent_training.train.commands.shared import quiet_libraries, told_on_stderr


@dataclass(frozen=True)
class Part:
    """Something to train or to measure.

    Attributes:
        kind: agent and judge are the starts, arm trains one arm with one seed, measure an agent on the held-out tasks.
        arm: the arm, or the label of what is measured.
        seed: of the arm, or of the attempts.
        weights: what is measured.
    """

    kind: Literal["agent", "judge", "arm", "measure"]
    arm: str = ""
    seed: int = 0
    weights: Path | None = None

    def __str__(self) -> str:
        told = {"agent": "agent SFT", "judge": "the judge", "arm": f"{self.arm}, seed {self.seed}"}
        return told.get(self.kind, f"measuring {self.arm}, seed {self.seed}")

    def done(self, places: Places) -> bool:
        """Whether it was done before."""
        if self.kind == "measure":
            return self.results(places).is_file()
        return finished(self.folder(places))

    def folder(self, places: Places) -> Path:
        """Where its weights lie."""
        return {"agent": places.agent, "judge": places.judge}.get(self.kind) or places.arm(self.arm, self.seed)

    def results(self, places: Places) -> Path:
        """Where its measured rows lie."""
        return places.results(f"{self.arm}-{self.seed}".replace(", ", "-").replace(" ", "-"))


def do_all(parts: Sequence[Part], config: MiniConfig, out: Path, jobs: int) -> None:
    """Does the parts, `jobs` of them at a time, each in a process of its own where there are several.

    Raises:
        Exception: what the first part that failed raised; the others under way come to their ends first.
    """
    if jobs == 1 or len(parts) < 2:
        for part in parts:
            do(part, config, out)
        return
    with ProcessPoolExecutor(
        jobs, get_context("spawn"), initializer=begin_worker, initargs=(jobs,), max_tasks_per_child=1
    ) as pool:
        for future in [pool.submit(do, part, config, out) for part in parts]:
            future.result()


def begin_worker(jobs: int) -> None:
    """Ends this process together with the one that started it, and leaves other parts their cores.

    An orphan would go on writing into a folder that the next run takes up, and all cores for each process would make
    them wait for one another.
    """
    import torch

    end_with_parent()
    torch.set_num_threads(max(1, torch.get_num_threads() // jobs))


def end_with_parent() -> None:
    """Ends this process when the one that started it through multiprocessing is gone, however that came."""
    parent = parent_process()
    assert parent is not None  # noqa: S101 - only children call this

    def wait() -> None:
        parent.join()
        os._exit(1)

    Thread(target=wait, daemon=True).start()


@told_on_stderr()
def do(part: Part, config: MiniConfig, out: Path) -> None:
    """Does one part."""
    quiet_libraries()
    places = Places(out)
    if part.kind == "agent":
        from reagent_training.agent_rl import sft

        sft.run(settings.agent_sft(config, places), places.agent)
    elif part.kind == "judge":
        from reagent_training.train import rrm_sft

        rrm_sft.run(settings.rrm_sft(config, places), places.judge)
    elif part.kind == "arm":
        from reagent_training.agent_rl import recipe

        recipe.run(settings.rl(config, places, part.arm, part.seed), places.arm(part.arm, part.seed))
    else:
        _measure(part, config, places)


def _measure(part: Part, config: MiniConfig, places: Places) -> None:
    from reagent_training.mini.evaluate import Measured, evaluate

    assert part.weights is not None  # noqa: S101 - every part that measures names them
    judged = part.weights == places.agent
    told = settings.rl(config, places, "reagent-r" if judged else "agent-grpo", part.seed)
    told = told.model_copy(update={"tasks": (Tasks(path=places.test),)})
    tokenizer = settings.base_folder_of(config, places)
    named = Measured(part.arm, part.seed, config.evaluation.samples, runs=part.seed == config.seeds[0])
    evaluate(part.weights, tokenizer, told, config.evaluation, part.results(places), named)
