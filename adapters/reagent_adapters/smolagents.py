"""Critique for smolagents: an agent around an agent, whose answer is that of the best attempt.

agent = CritiqueAgent(CodeAgent(tools=[], model=model), judge="local")
answer = agent.run("What is 2 + 3?")
print(answer, agent.last_run.why)
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from os import PathLike
from typing import Any, TypedDict, Unpack

import anyio

from reagent_adapters.blocking import Closing
from reagent_adapters.critique import Critique
from reagent_adapters.results import run_of, with_run
from reagent_adapters.versions import require
from reagent_sdk.budget import Budget
from reagent_sdk.errors import InvalidInput
from reagent_sdk.policy import Policy
from reagent_sdk.record import RunLog
from reagent_sdk.run import Run
from reagent_sdk.specs import JudgeLike

require("smolagents", "smolagents")

from smolagents.agents import MultiStepAgent, RunResult  # noqa: E402
from smolagents.memory import FinalAnswerStep  # noqa: E402

from reagent_adapters.smolagents_attempts import Attempts  # noqa: E402
from reagent_adapters.smolagents_check import critique_check  # noqa: E402

__all__ = ["CritiqueAgent", "Options", "critique_check", "run_of"]


class Options(TypedDict, total=False):
    """What `agent.run` takes besides the task and `stream`."""

    reset: bool
    images: list[Any] | None
    additional_args: dict[str, Any] | None
    max_steps: int | None
    return_full_result: bool | None


class CritiqueAgent(Closing):
    """An agent that works as the wrapped one, judges each attempt and answers with the best one.

    Afterwards the wrapped agent remembers the task, the steps that the chosen answer builds on and that answer, and
    nothing of rejected drafts or critiques. One run at a time: agents of smolagents have one memory, so a second call
    waits. Other attributes are the wrapped agent's.

    Args:
        agent: a `ToolCallingAgent`, a `CodeAgent` or another `MultiStepAgent`.
        judge: a spec, a function `(task, trajectory)`, a Judge or a list of them.
        policy: how to revise and what to keep.
        budget: limits of each run; each model call is counted before it is made, also those of managed agents.
        log: path of a run log.

    Raises:
        InvalidInput: the agent is none, or as :meth:`Critique.of` says.

    Attributes:
        agent: the wrapped agent.
        last_run: the run behind the last answer: attempts, verdicts, which was chosen and why, usage. None at first.
    """

    def __init__(
        self,
        agent: MultiStepAgent,
        judge: JudgeLike = None,
        *,
        policy: Policy | None = None,
        budget: Budget | None = None,
        log: RunLog | str | PathLike[str] | None = None,
    ) -> None:
        if not isinstance(agent, MultiStepAgent):
            raise InvalidInput(f"{type(agent).__name__} is no agent of smolagents")
        super().__init__(Critique.of(judge, policy=policy, budget=budget, log=log))
        self.agent = agent
        self.last_run: Run | None = None
        self._under_way: Attempts | None = None
        self._one = threading.Lock()

    def run(self, task: str, stream: bool = False, **options: Unpack[Options]) -> Any:
        """Answers the task as the agent would, after critique.

        Args:
            task: what is asked.
            stream: whether to return an iterator, which yields the chosen `FinalAnswerStep` alone.
            **options: what `agent.run` takes. With `return_full_result` the result is a `RunResult`, for `run_of`.

        Raises:
            InvalidInput: the task is empty.
            BudgetExceeded: the budget ran out before there was a draft.
            JudgeFailed, LowScore: where the policy makes these errors.
            Exception: what the first attempt raised.
        """
        if stream:
            return self._streamed(task, options)
        return self._portal.call(functools.partial(self.arun, task, **options))

    async def arun(self, task: str, **options: Unpack[Options]) -> Any:
        """Like :meth:`run`, in the caller's event loop; the agent works in a thread.

        Cancelling it returns at once. The agent's thread ends before its next model call; a tool or a model call that
        is under way cannot be stopped from outside and runs on unheard.
        """
        while not self._one.acquire(blocking=False):  # noqa: ASYNC110 - callers may live in different event loops
            await anyio.sleep(0.01)
        try:
            attempts = self._under_way = Attempts(self.agent, task, dict(options))
            loop = self.critique.loop(attempts.task(), attempts)
            run = await loop.run()
            result = attempts.settle(run.chosen or 0)
        finally:
            self._under_way = None
            self._one.release()
        self.last_run = run
        return with_run(result, run) if isinstance(result, RunResult) else result

    def interrupt(self) -> None:
        """Lets the agent stop before its next step, as `agent.interrupt` does."""
        if self._under_way is not None:
            self._under_way.interrupt()

    def __call__(self, task: str, **options: Any) -> Any:
        """Answers as a managed agent."""
        return type(self.agent).__call__(self, task, **options)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "agent":
            raise AttributeError(name)
        return getattr(self.agent, name)

    def _streamed(self, task: str, options: Options) -> Iterator[Any]:
        result = self.run(task, **options)
        yield FinalAnswerStep(result.output if isinstance(result, RunResult) else result)
