"""What judges in a worker process. Knows nothing of Ray: rows come in and verdicts go out, both as plain data."""

from __future__ import annotations

import asyncio
from typing import Any

from reagent_sdk.cli.judging import judge_record
from reagent_sdk.cli.records import Row, read_row
from reagent_sdk.cli.terminal import as_json
from reagent_sdk.cli.verdicts import Scored
from reagent_sdk.errors import InvalidInput, MissingExtra, WeightsUnavailable
from reagent_sdk.judges.base import Judge
from reagent_sdk.specs import judge_for


class JudgeWorker:
    """One judge, asked for several verdicts at a time.

    Args:
        spec: the judge, made in this process: embedded weights are loaded here, keys come from the environment here.
        concurrency: verdicts under way at a time.
        source: name of the file, for messages.
    """

    def __init__(self, spec: str, concurrency: int, source: str) -> None:
        self._spec = spec
        self._source = source
        self._places = asyncio.Semaphore(concurrency)
        self._judge: Judge | None = None

    async def judge(self, rows: list[tuple[str, int, bytes]]) -> dict[str, Any]:
        """Judges a block of rows, each `(id, line, text)`.

        Returns:
            `{"verdicts": [...]}` with the lines for the file of verdicts; or `{"failed": ..., "reason": ...}` with the
            class and the message of an error that would befall every other row as well.
        """
        try:
            return {"verdicts": await asyncio.gather(*(self._one(Row(*row)) for row in rows))}
        except (WeightsUnavailable, MissingExtra, InvalidInput) as error:
            return {"failed": type(error).__name__, "reason": str(error)}

    async def _one(self, row: Row) -> str:
        record = read_row(row, self._source)
        async with self._places:
            if self._judge is None:
                self._judge = judge_for(self._spec)
            verdict = await judge_record(self._judge, record)
        return as_json(Scored(id=row.id, line=row.line, verdict=verdict))
