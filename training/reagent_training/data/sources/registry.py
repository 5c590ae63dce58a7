"""The sources that `reagent data convert` reads, by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from reagent_sdk.errors import InvalidInput
from reagent_training.data.record import LabelledTrajectory

SOURCES = {
    "run-log": "run_logs:read_run_log",
    "agentprocessbench": "benches:read_agentprocessbench",
    "mint": "mint:read_mint",
    "plan-rewardbench": "benches:read_plan_rewardbench",
    "tau-bench": "benches:read_tau_bench",
    "who-and-when": "who_and_when:read_who_and_when",
    "mr-gsm8k": "traces:read_mr_gsm8k",
    "realcritic": "traces:read_realcritic",
    "big-bench-mistake": "traces:read_big_bench_mistake",
    "reagent": "reagent_sets:read_reagent_set",
}


@dataclass(frozen=True)
class Conversion:
    """What to convert.

    Attributes:
        source: one of `SOURCES`.
        given: the folder or file, or a hub id.
        labels: a file of labels; for run logs.
        hub_split: which split of a hub data set; for the published Reagent sets.
    """

    source: str
    given: str
    labels: Path | None = None
    hub_split: str = "train"


def convert(asked: Conversion, left_out: Counter[str]) -> Iterator[LabelledTrajectory]:
    """The records of a source.

    Args:
        asked: what to convert.
        left_out: counts what is left out, by reason, until the last record came.

    Raises:
        InvalidInput: the source is unknown, its files are not there or malformed, or an option is not for it.
        MissingExtra: a package that it takes is not installed.
    """
    from importlib import import_module

    if asked.source not in SOURCES:
        raise InvalidInput(f"there is no source {asked.source!r}; there are {', '.join(SOURCES)}")
    if asked.labels is not None and asked.source != "run-log":
        raise InvalidInput("--labels is for run-log: the other sources carry their labels")
    module, _, name = SOURCES[asked.source].partition(":")
    read = getattr(import_module(f"reagent_training.data.sources.{module}"), name)
    if asked.source == "reagent":
        yield from read(asked.given, left_out, split=asked.hub_split)
        return
    path = Path(asked.given).expanduser()
    if asked.source == "run-log":
        yield from read(path, left_out, asked.labels)
    else:
        yield from read(path, left_out)
