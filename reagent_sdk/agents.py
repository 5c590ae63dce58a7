"""What an agent is to the loop, and how plain callables and bare models become one."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

from reagent_sdk.calling import call_metered, callable_name
from reagent_sdk.clients.base import ChatClient, Sampling
from reagent_sdk.errors import AgentError
from reagent_sdk.messages import Message, assistant, system, to_openai, user
from reagent_sdk.outputs import read_output
from reagent_sdk.prompts import revision_prompt, revision_request
from reagent_sdk.task import Task
from reagent_sdk.trajectory import AgentStop, Trajectory


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a revision answers: the previous attempt's work and the judge's critique of it."""

    previous: Trajectory
    critique: str


class Work(NamedTuple):
    """An attempt as the agent made it: its trajectory, and the very object that the agent returned."""

    trajectory: Trajectory
    output: Any


@runtime_checkable
class Agent(Protocol):
    """Turns a task, and the feedback on an earlier attempt if there is one, into work."""

    async def attempt(self, task: Task, feedback: Feedback | None) -> Work:
        """Makes one attempt.

        Raises:
            BudgetExceeded: the run's budget allows no further call.
            Exception: whatever the agent's own code raises.
        """

    async def aclose(self) -> None:
        """Frees what the agent holds. Idempotent."""


class CallableAgent:
    """A plain function as an agent.

    Called with text or with chat messages, as the task came. A revision reaches it in the same form: a text that holds
    question, draft and critique, or messages that go on after the draft. A function with a `feedback` parameter gets
    the original question and a :class:`Feedback` (None at first) instead.

    Args:
        function: sync or async.
        args: further positional arguments for each call.
        kwargs: further keyword arguments for each call.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        self._function = function
        self._args = args
        self._kwargs = dict(kwargs or {})
        self._takes_feedback = _has_parameter(function, "feedback") and "feedback" not in self._kwargs

    async def attempt(self, task: Task, feedback: Feedback | None) -> Work:
        """Calls the function once.

        Raises:
            AgentError: it returned something that is not an answer.
        """
        kwargs = self._kwargs | ({"feedback": feedback} if self._takes_feedback else {})
        given = self._input(task, None if self._takes_feedback else feedback)
        output, usage = await call_metered(self._function, given, *self._args, **kwargs)
        trajectory = read_output(output, callable_name(self._function))
        return Work(trajectory.model_copy(update={"usage": usage}), output)

    def _input(self, task: Task, feedback: Feedback | None) -> str | list[dict[str, Any]]:
        if task.given_as_text:
            if feedback is None:
                return task.question
            return revision_prompt(task.question, feedback.previous.answer, feedback.critique)
        return to_openai(conversation(task, feedback))

    async def aclose(self) -> None:
        """Nothing to free."""


class ModelAgent:
    """A bare chat model as an agent: one completion an attempt.

    Args:
        client: the model; closed together with the agent.
        instructions: system message for conversations that bring none.
        sampling: how it samples.
    """

    def __init__(self, client: ChatClient, *, instructions: str = "", sampling: Sampling | None = None) -> None:
        self.client = client
        self._instructions = instructions
        self._sampling = sampling or Sampling()

    async def attempt(self, task: Task, feedback: Feedback | None) -> Work:
        """Asks the model once.

        Raises:
            ModelError: the call failed.
            AgentError: the model gave an empty answer.
        """
        messages = conversation(task, feedback)
        if self._instructions and messages[0].role != "system":
            messages.insert(0, system(self._instructions))
        reply = await self.client.complete(messages, self._sampling)
        if not reply.text.strip():
            cut = " (its output was cut off by the token limit)" if reply.truncated else ""
            raise AgentError(f"{self.client.name} gave an empty answer{cut}")
        trajectory = Trajectory(
            messages=(reply.message,),
            answer=reply.text,
            stop=AgentStop.TRUNCATED if reply.truncated else AgentStop.COMPLETED,
            usage=reply.usage,
        )
        return Work(trajectory, reply.text if task.given_as_text else reply.message.to_openai())

    async def aclose(self) -> None:
        """Closes the client."""
        await self.client.aclose()


def conversation(task: Task, feedback: Feedback | None) -> list[Message]:
    """The messages an agent works from: the task, then its earlier work and the critique of it."""
    messages = list(task.messages)
    if feedback is not None:
        messages += feedback.previous.messages or (assistant(feedback.previous.answer),)
        messages.append(user(revision_request(feedback.critique)))
    return messages


def evidence(feedback: Feedback | None) -> tuple[Message, ...]:
    """Tool calls and results of the previous attempt: a revision builds on them, so the judge must see them."""
    if feedback is None:
        return ()
    return tuple(m for m in feedback.previous.messages if m.role == "tool" or m.tool_calls)


def _has_parameter(function: Callable[..., Any], name: str) -> bool:
    try:
        return name in inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False
