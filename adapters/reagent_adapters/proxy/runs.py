"""The runs of a request: one loop for each answer that is wanted, all at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reagent_adapters.proxy.agent import NotFinal, UpstreamAgent
from reagent_adapters.proxy.ask import Ask
from reagent_adapters.proxy.report import report_of, summed, unjudged_report
from reagent_adapters.proxy.turn import Turn, Unreadable, read_turn
from reagent_adapters.proxy.upstream import Json, Origin, Upstream
from reagent_sdk.errors import JudgeFailed, LowScore
from reagent_sdk.loop import CritiqueLoop
from reagent_sdk.record import RunLog, append_safely
from reagent_sdk.run import Run
from reagent_sdk.scope import Observer
from reagent_sdk.secrets import excerpt
from reagent_sdk.usage import Usage
from reagent_sdk.verdict import VerdictStatus

if TYPE_CHECKING:
    from reagent_adapters.proxy.metrics import RunMetrics
    from reagent_sdk.judges.base import Judge
    from reagent_sdk.serving.log import EventLog


@dataclass(frozen=True)
class Choice:
    """One of the answers that a request wants.

    Attributes:
        index: which one.
        reply: the completion that was chosen.
        report: what is told about the run.
        usages: what the upstream reported for each of its completions, rejected ones included.
    """

    index: int
    reply: Json
    report: Json
    usages: Sequence[object]


@dataclass(frozen=True)
class Runner:
    """Runs the loop for requests.

    Attributes:
        upstream: what drafts and revises.
        judge: what judges.
        metrics: where runs are counted.
        log: where failures of the judge are told.
        record: where runs are kept, contents and all; None to keep none.
        analysis: whether reports show the judge's analyses.
    """

    upstream: Upstream
    judge: Judge
    metrics: RunMetrics
    log: EventLog
    record: RunLog | None = None
    analysis: bool = False

    def start(
        self, ask: Ask, origin: Origin, observer: Callable[[int], Observer] | None = None
    ) -> list[asyncio.Task[Choice]]:
        """Starts the runs of a request; whoever started them awaits or cancels them all.

        Args:
            ask: the request.
            origin: whose it is.
            observer: gives each run an observer; upstreams that can then write live.
        """
        try:
            turn: Turn | str = read_turn(ask.messages)
        except Unreadable as unreadable:
            turn = str(unreadable)
        observers = [observer(index) if observer else None for index in range(ask.n)]
        runs = [self._choice(ask, turn, origin, index, observe) for index, observe in enumerate(observers)]
        return [asyncio.ensure_future(run) for run in runs]

    async def _choice(self, ask: Ask, turn: Turn | str, origin: Origin, index: int, observe: Observer | None) -> Choice:
        body = ask.body_of(index)
        if isinstance(turn, str):
            self.metrics.passed("unreadable")
            reply = await self.upstream.complete(body, origin, live=False)
            return Choice(index, reply, unjudged_report(turn), [reply.get("usage")])
        agent = UpstreamAgent(self.upstream, body, turn, origin, live=observe is not None)
        loop = CritiqueLoop(turn.task, agent, self.judge, policy=ask.rules.policy, observe=observe)
        try:
            run = await loop.run()
        except NotFinal as found:
            self.metrics.passed(found.why)
            return Choice(index, found.reply, unjudged_report(found.why), [found.reply.get("usage")])
        except (LowScore, JudgeFailed) as error:
            await self._keep(error.run)
            raise
        await self._keep(run)
        usages = [reply.get("usage") for reply in agent.replies]
        return Choice(index, loop.output(), self.report(run), usages)

    def report(self, run: Run) -> Json:
        """What callers are told about a run."""
        return report_of(run, judged_usage(run), analysis=self.analysis)

    async def _keep(self, run: Run) -> None:
        self.metrics.count(run, judged_usage(run))
        for attempt in run.attempts:
            if attempt.verdict is not None and attempt.verdict.status is VerdictStatus.UNAVAILABLE:
                self.log.write("judge_unavailable", run=run.id, said=excerpt(attempt.verdict.reason))
        if self.record is not None:
            await append_safely(self.record, run)


def judged_usage(run: Run) -> Usage:
    """What the verdicts of a run used."""
    return sum((attempt.verdict.usage for attempt in run.attempts if attempt.verdict), Usage())


async def finished(works: Sequence[asyncio.Task[Choice]]) -> list[Choice]:
    """The results of all runs; the first error cancels the others. None of them is under way afterwards."""
    try:
        return list(await asyncio.gather(*works))
    finally:
        await cancelled(works)


async def cancelled(works: Sequence[asyncio.Task[Choice]]) -> None:
    """Cancels what is still under way and waits for its end."""
    for work in works:
        work.cancel()
    await asyncio.gather(*works, return_exceptions=True)


def completion_of(choices: Sequence[Choice]) -> Json:
    """One completion out of all: the first one's fields, all answers, the usage of all attempts, and the reports."""
    first = choices[0].reply
    usage = summed([usage for choice in choices for usage in choice.usages])
    told = choices[0].report if len(choices) == 1 else {"choices": [choice.report for choice in choices]}
    completion = {name: value for name, value in first.items() if name != "usage"}
    completion["choices"] = [{**choice.reply["choices"][0], "index": choice.index} for choice in choices]
    return {**completion, **({"usage": usage} if usage else {}), "reagent": told}
