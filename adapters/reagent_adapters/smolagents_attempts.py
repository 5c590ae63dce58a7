"""One run's attempts by an agent of smolagents, on a copy of it, in a worker thread."""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import anyio.to_thread
from smolagents.agents import MultiStepAgent, RunResult, ToolOutput
from smolagents.memory import ActionStep
from smolagents.utils import AgentMaxStepsError

from reagent_adapters.smolagents_meter import Gate, Metered
from reagent_adapters.smolagents_steps import is_answer, messages_of, said_text
from reagent_sdk import scope
from reagent_sdk.agents import Feedback, Work, evidence
from reagent_sdk.messages import assistant
from reagent_sdk.prompts import revision_request
from reagent_sdk.task import Task
from reagent_sdk.trajectory import AgentStop, Trajectory

FIRST_ONLY = ("reset", "images", "additional_args")
"""Options that belong to the first attempt; a revision goes on from it."""


@dataclass(frozen=True)
class _Made:
    """An attempt's result, and its steps in the memory as if no draft had come before it."""

    result: Any
    turn: list[Any]


class Attempts:
    """The agent of one run: the first attempt is a plain run, a revision goes on from the one before.

    They work on a copy of the agent. The agent itself gets the chosen attempt's memory in the end.

    Args:
        agent: who works.
        task: what is asked.
        options: what else `agent.run` takes.
    """

    def __init__(self, agent: Any, task: str, options: dict[str, Any]) -> None:
        self._agent = agent
        self._asked = task
        self._options = options
        self._history = [] if options.get("reset", True) else list(agent.memory.steps)
        self._made: list[_Made] = []
        self._results: dict[int, dict[str, str]] = {}
        self._worker = _copy_of(agent)
        self._worker.memory = copy.copy(agent.memory)
        self._worker.memory.steps = list(self._history)
        self._worker._run_stream = functools.partial(self._watched, self._worker._run_stream)

    def task(self) -> Task:
        """The task as the judge reads it, after the turns that the agent remembers.

        Raises:
            InvalidInput: the task is empty.
        """
        more = self._options.get("additional_args")
        question = f"{self._asked}\n\nAdditional arguments: {more}" if more else self._asked
        return Task(question=question, history=tuple(messages_of(self._history, with_answers=True)))

    def interrupt(self) -> None:
        """Lets the agent, and those that it manages, stop before their next step."""
        for one in _team(self._worker):
            one.interrupt()

    async def attempt(self, task: Task, feedback: Feedback | None) -> Work:
        """Runs the agent once, in a thread. Cancelling abandons the thread, which stops before its next model call.

        Raises:
            BudgetExceeded: the budget allows no further model call.
            AgentError: there was no answer.
        """
        gate = Gate(scope.current().meter)
        for one in _team(self._worker):
            one.model = Metered(getattr(one.model, "unmetered", one.model), gate)
        begun = len(self._worker.memory.steps)
        try:
            result = await anyio.to_thread.run_sync(self._call(feedback), abandon_on_cancel=True)
        except Exception as error:
            if gate.refused is not None:
                raise gate.refused from error
            raise
        finally:
            if gate.close():
                self.interrupt()
        if gate.refused is not None:
            raise gate.refused  # the framework takes a refused call for a final answer that says so
        answer = said_text(result.output if isinstance(result, RunResult) else result)
        task_step, *steps = self._worker.memory.steps[begun:]
        before = self._made[-1].turn if self._made else [task_step]
        clean = steps if not self._made else [_without_input(step) for step in steps]
        self._made.append(_Made(result, [*(step for step in before if not is_answer(step)), *clean]))
        done = (*evidence(feedback), *messages_of(steps, self._results), assistant(answer))
        limit = isinstance(getattr(steps[-1], "error", None), AgentMaxStepsError)
        stop = AgentStop.STEP_LIMIT if limit else AgentStop.COMPLETED
        return Work(Trajectory(messages=done, answer=answer, stop=stop, usage=gate.used), result)

    def settle(self, chosen: int) -> Any:
        """Gives the agent the memory of the chosen attempt, and returns that attempt's result."""
        made = self._made[chosen]
        self._agent.memory.steps = [*self._history, *made.turn]
        self._agent.memory.system_prompt = self._worker.memory.system_prompt
        if isinstance(made.result, RunResult):
            name = "steps" if "steps" in vars(made.result) else "messages"
            setattr(made.result, name, self._agent.memory.get_full_steps())
        return made.result

    async def aclose(self) -> None:
        """Nothing to free."""

    def _call(self, feedback: Feedback | None) -> functools.partial[Any]:
        if feedback is None:
            return functools.partial(self._worker.run, self._asked, **self._options)
        more = {name: value for name, value in self._options.items() if name not in FIRST_ONLY}
        return functools.partial(self._worker.run, revision_request(feedback.critique), reset=False, **more)

    def _watched(self, stream: Any, **kwargs: Any) -> Iterator[Any]:
        """Notes what each tool call returned: a step itself keeps all of it in one text."""
        current: dict[str, str] = {}
        for event in stream(**kwargs):
            if isinstance(event, ToolOutput):
                current[event.id] = event.observation
            elif isinstance(event, ActionStep):
                self._results.setdefault(id(event), current)
                current = {}
            yield event


def _copy_of(agent: Any) -> Any:
    """The agent with attributes of its own, and copies of the agents that it manages, which share their memory."""
    worker = copy.copy(agent)
    managed = getattr(agent, "managed_agents", {})
    worker.managed_agents = {
        name: _copy_of(one) if isinstance(one, MultiStepAgent) else one for name, one in managed.items()
    }
    return worker


def _team(agent: Any) -> Iterator[Any]:
    yield agent
    for one in agent.managed_agents.values():
        if isinstance(one, MultiStepAgent):
            yield from _team(one)


def _without_input(step: Any) -> Any:
    """A step of a revision, without the record of what the model was sent: it holds the draft and the critique."""
    return replace(step, model_input_messages=None) if isinstance(step, ActionStep) else step
