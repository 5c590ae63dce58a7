"""The checkpoints of a judge's run, to look at: where they are, and the model as it was there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pydantic import ValidationError

from reagent_sdk.errors import InvalidInput
from reagent_sdk.prompts import judge_prompt
from reagent_training.train.config import SftConfig
from reagent_training.train.running import CHECKPOINTS, PLAN, whole_checkpoints
from reagent_training.train.weights import load_base


class Stop(NamedTuple):
    """A moment of a run.

    Attributes:
        update: how many were made.
        epochs: how often the rows had been seen by then.
        folder: the checkpoint; None for the base, which learnt nothing.
    """

    update: int
    epochs: float
    folder: Path | None


def settings_of(run: Path) -> SftConfig:
    """The settings of a run of rrm-sft.

    Raises:
        InvalidInput: the folder holds no such run, or its prompt has no grade.
    """
    try:
        config = SftConfig.model_validate(json.loads((run / PLAN).read_bytes())["settings"])
    except (OSError, ValueError, KeyError, ValidationError) as error:
        raise InvalidInput(f"{run} holds no run of `reagent train rrm-sft`") from error
    if not judge_prompt(config.prompt_version).graded:
        raise InvalidInput(f"the prompt {config.prompt_version} has no grade to read; use `reagent train compare`")
    return config


def stops_of(run: Path, count: int | None = None) -> list[Stop]:
    """Where a run can be looked at, the base first.

    Args:
        run: the folder of the run.
        count: so many checkpoints, evenly spread, the last among them; all by default.

    Raises:
        InvalidInput: no checkpoint is left.
    """
    found = [
        Stop(update, float(json.loads((folder / "trainer_state.json").read_bytes())["epoch"]), folder)
        for update, folder in whole_checkpoints(run).items()
    ]
    if not found:
        raise InvalidInput(f"{run / CHECKPOINTS} holds no checkpoint; train with a larger keep_checkpoints")
    if count is not None and count < len(found):
        found = [found[int(place)] for place in np.linspace(0, len(found), count + 1)[1:].round() - 1]
    return [Stop(0, 0.0, None), *found]


@contextmanager
def weights_at(config: SftConfig, base: Any, folder: Path | None) -> Iterator[Any]:
    """The model as it was at a checkpoint; an adapter is taken off the base again."""
    if folder is None:
        yield base
    elif config.lora is None:
        yield load_base(config.model_copy(update={"base": str(folder)}))[0]
    else:
        from peft import PeftModel

        model = PeftModel.from_pretrained(base, str(folder))
        try:
            yield model
        finally:
            model.unload()
