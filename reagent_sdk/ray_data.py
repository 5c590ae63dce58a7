"""Judging inside a Ray Data pipeline: for trajectories that lie in buckets or Parquet, and are read by the workers.

    import ray
    from reagent_sdk.ray_data import JudgeRows

    rows = ray.data.read_text("s3://bucket/trajectories/")
    pool = ray.data.ActorPoolStrategy(size=8)
    verdicts = rows.map_batches(JudgeRows, fn_constructor_args=("http://judge:8001/v1",), compute=pool, batch_size=64)
    verdicts.write_parquet("s3://bucket/verdicts/")

Ray Data runs a batch again whose worker died. For one verdict an id whatever happens, and to go on after an
interruption, there is `reagent score --engine ray`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from reagent_sdk.cli.judging import judge_record
from reagent_sdk.errors import InvalidInput
from reagent_sdk.judges.base import Judge
from reagent_sdk.records import Record, read_records
from reagent_sdk.specs import judge_for
from reagent_sdk.verdict import Verdict


class JudgeRows:
    """A class for `Dataset.map_batches`: each worker makes the judge once and asks it for many verdicts at a time.

    Args:
        spec: the judge, made in the worker: local weights are loaded there, keys come from the environment there.
        concurrency: verdicts under way at a time in each worker.
        column: the column that holds the records, one JSON object a row, in the shapes of `reagent score`.
    """

    def __init__(self, spec: str, concurrency: int = 16, column: str = "text") -> None:
        if concurrency < 1:
            raise InvalidInput(f"concurrency must be at least 1, not {concurrency}")
        self._judge = judge_for(spec)
        self._concurrency = concurrency
        self._column = column
        self._runner = asyncio.Runner()  # one loop for the worker's life keeps connections alive between batches

    def __call__(self, batch: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
        """Judges one batch.

        Returns:
            Columns `id`, `status`, `score` (None unless scored), `critique` and `verdict`, the whole verdict as JSON.
            Runs that hold no attempt have no row.

        Raises:
            InvalidInput: the column is missing, or a row is malformed.
        """
        if self._column not in batch:
            raise InvalidInput(f"there is no column {self._column!r}; the data set has {', '.join(batch)}")
        lines = [str(row).encode() for row in batch[self._column]]
        records = [record for record in read_records(lines, "batch") if record is not None]
        verdicts = self._runner.run(_judged(self._judge, records, self._concurrency))
        return {
            "id": [record.id for record in records],
            "status": [verdict.status.value for verdict in verdicts],
            "score": [verdict.score for verdict in verdicts],
            "critique": [verdict.critique for verdict in verdicts],
            "verdict": [verdict.model_dump_json() for verdict in verdicts],
        }


async def _judged(judge: Judge, records: Sequence[Record], concurrency: int) -> list[Verdict]:
    places = asyncio.Semaphore(concurrency)

    async def one(record: Record) -> Verdict:
        async with places:
            return await judge_record(judge, record)

    return await asyncio.gather(*(one(record) for record in records))
