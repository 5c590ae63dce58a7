"""Many critiqued runs at a time, by a scripted agent, until time is up."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from array import array
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO

from reagent_sdk import Run
from reagent_sdk.agents import Feedback
from reagent_sdk.critique_agent import CritiqueAgent
from reagent_sdk.events import AttemptJudged, AttemptSolved, Event, Retrying, RunFinished
from reagent_sdk.record_line import encode

_NO_DRAFT, _NO_REVISION, _NO_CHANGE = 0.01, 0.04, 0.05
"""Shares of attempts in which the agent raises on its draft, raises on a revision, and repeats its answer."""


class AgentBroke(Exception):
    """The scripted agent's own failure."""


def scripted_agent(seed: int) -> Callable[..., object]:
    """An async agent that takes milliseconds and sometimes fails. What it answers follows from seed and question."""

    async def agent(question: str, feedback: Feedback | None = None) -> str:
        earlier = feedback.previous.answer if feedback else ""
        draw = random.Random(f"{seed}/{question}/{earlier}")
        await asyncio.sleep(draw.expovariate(1 / 0.01))
        if draw.random() < (_NO_REVISION if feedback else _NO_DRAFT):
            raise AgentBroke(question)
        if feedback and draw.random() < _NO_CHANGE:
            return earlier
        return f"It is {draw.randrange(10**9)}, I think."

    return agent


@dataclass
class Tally:
    """What has happened. Holds a few bytes a run, so that memory that grows is not the tally's own.

    Attributes:
        started: runs begun.
        returned: runs that came back.
        broke: questions of runs that ended with the agent's own failure on its draft.
        raised: other errors that reached the caller, by type; there should be none.
        cut: runs still under way after the drain; there should be none.
        stops: why runs stopped.
        statuses: of all verdicts.
        run_seconds: of each run that came back.
        verdict_seconds: from work to verdict.
        retried: requests that were sent again.
        scored_at: when verdicts with scores were heard, in seconds of the monotonic clock.
    """

    started: int = 0
    returned: int = 0
    broke: list[str] = field(default_factory=list)
    raised: Counter[str] = field(default_factory=Counter)
    cut: int = 0
    stops: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    run_seconds: array[float] = field(default_factory=lambda: array("d"))
    verdict_seconds: array[float] = field(default_factory=lambda: array("d"))
    retried: int = 0
    scored_at: array[float] = field(default_factory=lambda: array("d"))

    def judged(self, event: AttemptJudged, seconds: float) -> None:
        """Counts a verdict."""
        self.statuses[event.verdict.status] += 1
        self.verdict_seconds.append(seconds)
        if event.verdict.scored:
            self.scored_at.append(time.monotonic())

    def finished(self, run: Run) -> None:
        """Counts a run."""
        self.returned += 1
        self.stops[run.stop] += 1
        self.run_seconds.append(run.seconds)


class Traffic:
    """Starts runs of one wrapped agent.

    Args:
        agent: the agent under critique.
        returned: file for what the callers were given, to be compared with the run log.
    """

    def __init__(self, agent: CritiqueAgent[..., object], returned: BinaryIO) -> None:
        self.tally = Tally()
        self.over = asyncio.Event()
        self._agent = agent
        self._returned = returned
        self._numbers = itertools.count(1)

    async def flow(self, width: int, drain: float) -> None:
        """Keeps `width` runs under way until `over` is set, then waits for the last ones, `drain` seconds at most."""
        callers = [asyncio.ensure_future(self._caller()) for _ in range(width)]
        try:
            await self.over.wait()
            _, late = await asyncio.wait(callers, timeout=drain)
            self.tally.cut = len(late)
        finally:
            for caller in callers:
                caller.cancel()
            await asyncio.gather(*callers, return_exceptions=True)

    async def _caller(self) -> None:
        while not self.over.is_set():
            question = f"Question {next(self._numbers)}: what is it?"
            self.tally.started += 1
            try:
                await self._one(question)
            except AgentBroke:
                self.tally.broke.append(question)
            except Exception as error:
                self.tally.raised[f"{type(error).__name__}: {error}"[:200]] += 1

    async def _one(self, question: str) -> None:
        solved = 0.0
        event: Event
        async for event in self._agent.astream(question):
            if isinstance(event, AttemptSolved):
                solved = time.monotonic()
            elif isinstance(event, Retrying):
                self.tally.retried += 1
            elif isinstance(event, AttemptJudged):
                self.tally.judged(event, time.monotonic() - solved)
            elif isinstance(event, RunFinished):
                self.tally.finished(event.run)
                self._returned.write(encode(event.run))
