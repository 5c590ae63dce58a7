"""The tasks: generated, run with the real tools, and held out by question."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import anyio

from reagent_sdk.errors import InvalidInput
from reagent_training.mini.config import MiniConfig
from reagent_training.mini.places import Places
from reagent_training.synth.generate import ROWS, SynthSettings, generate, read_tasks
from reagent_training.synth.record import Split

_TEST_SEED = 1_000
"""Far from any seed of a training set, so that no question is drawn twice."""


def make_world(config: MiniConfig, places: Places, progress: Callable[[int, int], None] | None = None) -> None:
    """Generates the two sets, or what is missing of them.

    Raises:
        InvalidInput: a question stands in both sets.
        MissingExtra: the tools are not installed.
    """
    world = config.world
    wanted = {
        places.train: SynthSettings(n=world.train, families=world.families, seed=0, variants=world.variants),
        places.test: SynthSettings(
            n=world.test, families=world.families, seed=_TEST_SEED, split=Split(world.split), variants=1
        ),
    }
    for folder, settings in wanted.items():
        if not (folder / ROWS).is_file():
            anyio.run(partial(generate, folder, settings, progress=progress))
    known = {task.question for task in read_tasks(places.train)}
    both = [task.id for task in read_tasks(places.test) if task.question in known]
    if both:
        raise InvalidInput(f"{len(both)} held-out questions are training questions too, {both[0]} among them")
