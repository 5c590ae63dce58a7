"""An agent and a judge that do the same work once, however many arms ask for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import anyio

from reagent_benchmarks.running.calls import clock
from reagent_sdk import scope
from reagent_sdk.agents import Agent, Feedback, Work
from reagent_sdk.errors import BudgetExceeded
from reagent_sdk.judges.around import AroundJudge
from reagent_sdk.judges.base import Judge, settled
from reagent_sdk.task import Task
from reagent_sdk.trajectory import Trajectory
from reagent_sdk.usage import Usage
from reagent_sdk.verdict import Verdict

T = TypeVar("T")


class _Once(Generic[T]):
    """Results by key, what they took, and errors as well: what failed is not tried again by the next arm.

    Attributes:
        seconds: wall-clock seconds of what was asked for since `restart`, whether it was made then or before.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._made: list[tuple[object, T | Exception, float, Usage]] = []

    def restart(self) -> None:
        self.seconds = 0.0

    def error(self, key: object) -> Exception | None:
        return next((made for known, made, *_ in self._made if known is key and isinstance(made, Exception)), None)

    async def get(self, key: object, make: Callable[[], Awaitable[T]]) -> T:
        """The result of a key; the meter in force is charged with it as if it were made now.

        Raises:
            Exception: what making it raised, now or before.
        """
        for known, made, seconds, usage in self._made:
            if known is key:
                scope.current().meter.charge(usage)
                self.seconds += seconds
                if isinstance(made, Exception):
                    raise made
                return made
        meter, began = scope.current().meter, clock()
        before = meter.usage
        kept: T | Exception = BudgetExceeded("seconds", "the question's time ran out")  # stays when we are cancelled
        try:
            kept = await make()
            return kept
        except anyio.get_cancelled_exc_class():
            raise
        except Exception as error:
            kept = error
            raise
        finally:
            took = clock() - began
            self.seconds += took
            self._made.append((key, kept, took, meter.usage - before))


class SharedAgent:
    """Makes the first attempt once, and the revision that answers it once.

    Args:
        agent: who works; stays the caller's to close.
    """

    def __init__(self, agent: Agent) -> None:
        self.made: _Once[Work] = _Once()
        self._agent = agent
        self._keys: dict[tuple[int, str] | None, object] = {}

    async def attempt(self, task: Task, feedback: Feedback | None) -> Work:
        """An attempt, made now or before.

        Raises:
            Exception: whatever the agent raises, to every arm the same.
        """
        return await self.made.get(self._key(feedback), lambda: self._agent.attempt(task, feedback))

    def failure(self, feedback: Feedback | None) -> Exception | None:
        """What went wrong with the attempt that answers this; None when nothing did."""
        return self.made.error(self._key(feedback))

    def _key(self, feedback: Feedback | None) -> object:
        asked = None if feedback is None else (id(feedback.previous), feedback.critique)
        return self._keys.setdefault(asked, object())

    async def aclose(self) -> None:
        """Nothing to free."""


class SharedJudge(AroundJudge):
    """Judges each attempt once.

    Args:
        judge: who judges; stays the caller's to close.
    """

    def __init__(self, judge: Judge) -> None:
        super().__init__(judge)
        self.heard: _Once[Verdict] = _Once()

    async def judge(self, task: Task, trajectory: Trajectory) -> Verdict:
        """The verdict on this very trajectory, given now or before.

        Raises:
            BudgetExceeded: the run's budget allows no further call, or the time ran out before.
        """
        judge = self._judge
        return await self.heard.get(trajectory, lambda: settled(lambda: judge.judge(task, trajectory), judge.name))

    async def aclose(self) -> None:
        """Nothing to free."""


class NoJudge:
    """Stands where a run needs a judge that it never asks."""

    name = "none"
    gate: float | None = None

    async def judge(self, task: Task, trajectory: Trajectory) -> Verdict:
        """Never called: a bare run judges nothing."""
        raise RuntimeError("a bare run asked for a verdict")

    async def aclose(self) -> None:
        """Nothing to free."""
