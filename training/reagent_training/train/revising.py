"""Lets the frozen agent revise its work on each critique, as the SDK's loop does, and grades the revisions."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import anyio

from reagent_sdk.agents import Agent, Feedback
from reagent_sdk.closing import Closing
from reagent_sdk.errors import BudgetExceeded, InvalidInput, MissingExtra, ReagentError, WeightsUnavailable
from reagent_sdk.trajectory import AgentStop
from reagent_training.data.record import LabelledTrajectory
from reagent_training.sampling.grading import is_right
from reagent_training.train.critic_config import RevisingAgent
from reagent_training.train.revisions import Revision, Revisions, key_of
from reagent_training.train.reward_rows import references_of

Critiqued = tuple[LabelledTrajectory, str]
"""A row, and a critique of its work."""


class AgentDown(ReagentError):
    """The agent made no revision for so long that a run would learn nothing."""


class Reviser(Closing):
    """Asks the agent for revisions, several at a time, and each only once.

    Args:
        agent: the frozen agent; closed together with this.
        settings: its limits. Spec and sampling name it in the revisions that are kept.
        kept: what was revised before.
    """

    def __init__(self, agent: Agent, settings: RevisingAgent, kept: Revisions) -> None:
        super().__init__(agent.aclose, owns=True)
        self._agent = agent
        self._settings = settings
        self._kept = kept
        self._name = f"{settings.spec} {settings.temperature} {settings.max_tokens}"
        self._failures = 0

    def right(self, work: Sequence[Critiqued]) -> list[bool | None]:
        """Whether the agent is right once it has read the critique; None where it made no revision.

        Raises:
            AgentDown: it failed too often in a row.
            BudgetExceeded: a limit on calls or money was reached.
            InvalidInput: the agent cannot work at all.
            WeightsUnavailable: its weights cannot be loaded.
            MissingExtra: a package that it takes is not installed.
        """
        keys = [key_of(self._name, row, critique) for row, critique in work]
        asked = {key: one for key, one in zip(keys, work, strict=True) if self._kept.get(key) is None}
        self._portal.call(self._revise, asked)
        return [self._graded(row, self._kept.get(key)) for key, (row, _) in zip(keys, work, strict=True)]

    async def _revise(self, asked: Mapping[str, Critiqued]) -> None:
        places = asyncio.Semaphore(self._settings.concurrency)
        jobs = [asyncio.create_task(self._one(places, key, *one)) for key, one in asked.items()]
        try:
            await asyncio.gather(*jobs)
        finally:
            for job in jobs:
                job.cancel()
            await asyncio.gather(*jobs, return_exceptions=True)

    async def _one(self, places: asyncio.Semaphore, key: str, row: LabelledTrajectory, critique: str) -> None:
        async with places:
            try:
                with anyio.fail_after(self._settings.seconds):
                    work = await self._agent.attempt(row.task, Feedback(row.trajectory, critique))
            except (BudgetExceeded, WeightsUnavailable, MissingExtra, InvalidInput):
                raise  # the next revision would fare no better
            except TimeoutError:
                self._failed(f"no answer within {self._settings.seconds:g} s")
                return
            except Exception as error:  # an agent that breaks on one question is left out, and counted
                self._failed(f"{type(error).__name__}: {error}")
                return
        self._failures = 0
        answer, stop = work.trajectory.answer, work.trajectory.stop
        self._kept.add(Revision(key=key, answer=answer, cut_off=stop is AgentStop.TRUNCATED))

    def _failed(self, why: str) -> None:
        self._failures += 1
        if self._failures >= self._settings.patience:
            raise AgentDown(f"the agent {self._settings.spec} failed {self._failures} times in a row; {why}")

    def _graded(self, row: LabelledTrajectory, revision: Revision | None) -> bool | None:
        if revision is None:
            return None
        return is_right(revision.answer, references_of(row), cut_off=revision.cut_off)
