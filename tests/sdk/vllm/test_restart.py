"""The server is killed and started again while verdicts are under way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from reagent_sdk import Verdict, VerdictStatus
from reagent_sdk.clients.openai_compatible import OpenAICompatible
from reagent_sdk.judges.model import ModelJudge

from .server import MODEL, VllmServer
from .work import case, judge_with

pytestmark = [pytest.mark.anyio, pytest.mark.vllm, pytest.mark.real_model]


class Load:
    """Keeps a judge busy and the verdicts in order."""

    def __init__(self, judge: ModelJudge) -> None:
        self.verdicts: list[Verdict] = []
        self._judge, self._numbers, self._arrived = judge, count(200), asyncio.Condition()

    async def work(self) -> None:
        while True:
            verdict = await self._judge.judge(*case(next(self._numbers)))
            async with self._arrived:
                self.verdicts.append(verdict)
                self._arrived.notify_all()

    async def until(self, status: VerdictStatus, number: int, *, after: int = 0) -> None:
        """Waits for `number` verdicts of a status behind the first `after` ones."""
        async with self._arrived:
            await self._arrived.wait_for(
                lambda: sum(verdict.status is status for verdict in self.verdicts[after:]) >= number
            )


async def test_killed_and_started_again_under_load(
    vllm_weights: Path, tmp_path: Path, figure: Callable[[str, str], None]
) -> None:
    with VllmServer(vllm_weights, tmp_path / "server.log") as server:
        hasty = OpenAICompatible(server.url, MODEL, timeout=800, max_attempts=2)
        patient = judge_with(OpenAICompatible(server.url, MODEL, timeout=800, max_attempts=60))
        load = Load(judge_with(hasty, temperature=0.7))
        async with asyncio.timeout(800), asyncio.TaskGroup() as group:
            workers = [group.create_task(load.work()) for _ in range(8)]
            await load.until(VerdictStatus.SCORED, 8)
            server.kill()
            killed, began = len(load.verdicts), time.perf_counter()
            waiting = group.create_task(patient.judge(*case(0)))
            await load.until(VerdictStatus.UNAVAILABLE, 16, after=killed)
            down = list(load.verdicts)
            await asyncio.to_thread(server.start)
            ready = time.perf_counter()
            await load.until(VerdictStatus.SCORED, 8, after=len(down))
            recovered = await waiting
            for worker in workers:
                worker.cancel()
        await hasty.aclose()
        await patient.aclose()
    assert {verdict.status for verdict in down[:killed]} == {VerdictStatus.SCORED}
    assert {verdict.status for verdict in down[-8:]} == {VerdictStatus.UNAVAILABLE}  # before: what had arrived already
    assert {verdict.status for verdict in load.verdicts} == {VerdictStatus.SCORED, VerdictStatus.UNAVAILABLE}
    assert all((verdict.score is None) == (not verdict.scored) for verdict in load.verdicts)
    assert recovered.scored, recovered.reason
    assert recovered.usage.retries > 0
    lost = sum(not verdict.scored for verdict in load.verdicts)
    figure("killed with 8 verdicts in flight", f"{lost} unavailable meanwhile, none of them a number")
    figure(
        "started again after",
        f"{ready - began:.0f} s; a verdict asked for meanwhile was scored after {recovered.usage.retries} retries",
    )
