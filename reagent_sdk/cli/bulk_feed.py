"""One pass from the command's side: rows are handed to the foreman as there is room, judged blocks come back."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Iterator
from itertools import islice
from typing import Any

from reagent_sdk.cli.bulk_foreman import Foreman
from reagent_sdk.cli.bulk_plan import EVERY_NODE, Judged, Plan, Report, RowData
from reagent_sdk.cli.terminal import to_stderr
from reagent_sdk.errors import ReagentError
from reagent_sdk.records import Row

NOTICE = 30.0
"""Seconds without any worker after which we say what we are waiting for."""
LIMIT_BYTES = 32 * 2**20
"""Text of the rows that are with Ray at a time; the block that goes beyond is the last one."""


class Broken(Exception):
    """Ray Data gave a pass up. Another one may fare better."""


def hired(ray: Any, plan: Plan) -> Any:
    """The handle of a foreman, in a process of its own. It takes no CPU: it only waits and counts."""
    return ray.remote(num_cpus=0, max_restarts=0, max_task_retries=0)(Foreman).remote(plan)


async def passed(
    plan: Plan, rows: Iterator[Row], foreman: Any, room: Callable[[], int]
) -> AsyncGenerator[Judged, None]:
    """Has the rows of a plan judged. Each block comes back once.

    Args:
        plan: the plan.
        rows: `plan.n_rows` of them; one is read when there is room for it.
        foreman: the foreman.
        room: how many rows may be with Ray at present.

    Raises:
        ReagentError: no worker can be started.
        Broken: Ray Data gave up.
        RayActorError: the foreman's process died.
    """
    blocks = enumerate(_blocks(rows, plan.size))
    away: dict[int, tuple[int, int]] = {}  # rows and bytes of each block that is with Ray
    n_rows = n_bytes = done = 0
    last_said = time.monotonic()
    while done < plan.n_blocks:
        handed: list[list[RowData]] = []
        while n_rows < room() and n_bytes < LIMIT_BYTES and (following := next(blocks, None)) is not None:
            number, block = following
            away[number] = len(block), sum(len(text) for _, _, text in block)
            n_rows, n_bytes = n_rows + away[number][0], n_bytes + away[number][1]
            handed.append(block)
        report: Report = await foreman.exchange.remote(handed)
        for judged in report.judged:
            size, length = away.pop(judged.block)
            n_rows, n_bytes, done = n_rows - size, n_bytes - length, done + 1
            yield judged
        if report.trouble is not None and done < plan.n_blocks:
            if report.started:
                raise Broken(report.trouble)
            raise ReagentError(f"{report.trouble}; {EVERY_NODE}")
        if not report.started and time.monotonic() - last_said > NOTICE:
            to_stderr("no worker has started yet; each needs a CPU that is free (see `ray status`)")
            last_said = time.monotonic()


def _blocks(rows: Iterator[Row], size: int) -> Iterator[list[RowData]]:
    while block := [(row.id, row.line, row.text) for row in islice(rows, size)]:
        yield block
