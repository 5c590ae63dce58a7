"""The data sets by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from reagent_benchmarks.judging.items import JudgedItem


class DataSet(StrEnum):
    """Labelled trajectories that a judge can be measured on."""

    AGENTPROCESSBENCH = "agentprocessbench"
    MINT = "mint"
    PLAN_REWARDBENCH = "plan_rewardbench"
    TAU_BENCH = "tau_bench"
    WHO_AND_WHEN = "who_and_when"


class Loaded(NamedTuple):
    """The items of a data set, and what was left out, by reason."""

    items: list[JudgedItem]
    left_out: dict[str, int]


def load(dataset: DataSet, folder: Path) -> Loaded:
    """Reads a data set.

    Raises:
        InvalidInput: no files of it, or a malformed row.
    """
    left_out = Counter[str]()
    loader: Callable[..., list[JudgedItem]] = import_module(f"reagent_benchmarks.judging.{dataset.value}").load
    return Loaded(loader(folder, left_out=left_out), dict(left_out))
