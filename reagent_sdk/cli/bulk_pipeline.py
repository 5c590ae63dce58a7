"""The Ray Data pipeline: rows are read from the foreman, judged by a pool of actors, and come back as they are done.

Imported by the foreman and by Ray's processes only. A row of the data set is a block of trajectories: Ray Data moves
blocks of its own between processes, and with the smallest target size each of them holds one row.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]
import ray
from pydantic import TypeAdapter
from ray.data import ActorPoolStrategy, DataContext, Datasource, ReadTask, TaskPoolStrategy, read_datasource
from ray.data.block import BlockMetadata

from reagent_sdk.cli.bulk_plan import Judged, Plan
from reagent_sdk.cli.bulk_worker import JudgeBlocks

_JUDGED = TypeAdapter(Judged)
_SCHEMA = pa.schema(
    {
        "block": pa.int64(),
        "ids": pa.list_(pa.string()),
        "lines": pa.list_(pa.int64()),
        "texts": pa.list_(pa.large_binary()),
    }
)


def judged_blocks(plan: Plan, foreman: Any) -> Iterator[Judged]:
    """Runs the pipeline; the blocks come in the order in which they are done.

    Raises:
        RayError: the workers do not start, or Ray Data gives up.
    """
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.target_max_block_size = 1  # so that nothing is held back to make larger blocks
    context.memory_usage_poll_interval_s = None  # would be a thread for each block
    # Ray Data looks for results ten times a second. Reading would stop between two looks after two blocks, unless:
    context._max_num_blocks_in_streaming_gen_buffer = plan.n_waiting
    rows = read_datasource(
        Rows(plan, foreman),
        override_num_blocks=len(plan.read_tasks),
        compute=TaskPoolStrategy(size=1),
        num_cpus=0,  # the pool may take every CPU, and reading has to go on
    )
    judged = rows.map_batches(
        JudgeBlocks,
        fn_constructor_args=(plan, foreman),
        compute=ActorPoolStrategy(
            size=plan.workers,
            max_tasks_in_flight_per_actor=2 * plan.at_work,
            max_concurrent_calls_per_actor=2 * plan.at_work,
        ),
        batch_size=None,
        batch_format="pyarrow",
        num_cpus=1,
        scheduling_strategy="SPREAD",
    )
    for batch in judged.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
        for reply in batch["judged"].to_pylist():
            yield _JUDGED.validate_json(reply)


class Rows(Datasource):
    """The blocks of a plan, which the foreman hands out by number, so that a read task can be run again."""

    def __init__(self, plan: Plan, foreman: Any) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._plan = plan
        self._foreman = foreman

    def get_name(self) -> str:
        """The name in Ray's views."""
        return "Trajectories"

    def estimate_inmemory_data_size(self) -> int | None:
        """Not known."""
        return None

    def get_read_tasks(self, parallelism: int, *_: object, **__: object) -> list[ReadTask]:
        """The tasks of the plan, whatever Ray Data would like."""
        return [
            ReadTask(
                functools.partial(_read, self._foreman, numbers),
                BlockMetadata(num_rows=len(numbers), size_bytes=None, input_files=None, exec_stats=None),
                schema=_SCHEMA,
            )
            for numbers in self._plan.read_tasks
        ]


def _read(foreman: Any, numbers: range) -> Iterator[pa.Table]:
    while numbers:
        taken = ray.get(foreman.take.remote(numbers))
        for number, rows in zip(numbers, taken, strict=False):
            ids, lines, texts = zip(*rows, strict=True) if rows else ((), (), ())
            yield pa.table({"block": [number], "ids": [ids], "lines": [lines], "texts": [texts]}, schema=_SCHEMA)
        numbers = numbers[len(taken) :]
