"""Rollouts: the SDK's own tool-calling agent at work on tasks, many side by side, with the policy as its model."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from reagent_benchmarks.judging.items import renumbered

from reagent_sdk import scope
from reagent_sdk.agents import Feedback
from reagent_sdk.errors import AgentError
from reagent_sdk.events import Event, ToolReturned
from reagent_sdk.tools.agent import AgentSettings, ToolAgent
from reagent_sdk.trajectory import AgentStop, Trajectory
from reagent_training.agent_rl.config import AgentRollout
from reagent_training.agent_rl.dialogue import Dialogue
from reagent_training.agent_rl.generation import Generator
from reagent_training.agent_rl.lockstep import Lockstep
from reagent_training.agent_rl.policy import PolicyClient, RolloutFull, Tokens, Turns
from reagent_training.sampling.questions import Question

_NO_WINDOW = 10**9
"""Characters: the policy's room is counted in tokens, and nothing may be taken out of a conversation under way."""


class Asked(NamedTuple):
    """What a rollout starts from: a task, and for a revision the earlier work with its critique."""

    question: Question
    feedback: Feedback | None = None


@dataclass(frozen=True)
class Rollout:
    """One attempt.

    Attributes:
        tokens: as the trainer sees it.
        trajectory: as graders and judges see it; its answer is empty where the attempt came to none.
        right: whether the task's rule holds the answer right; None where the rule itself failed.
        stopped_tools: tool calls that their time limit ended. Many of them say that the machine was too slow.
    """

    tokens: Tokens
    trajectory: Trajectory
    right: bool | None
    stopped_tools: int = 0

    @property
    def tool_calls(self) -> int:
        """How many calls the record of the attempt holds, those of an earlier attempt that it goes on from included."""
        return sum(len(message.tool_calls or ()) for message in self.trajectory.messages)

    @property
    def truncated(self) -> bool:
        """Whether a limit cut the rollout off."""
        return self.trajectory.stop is AgentStop.TRUNCATED


ToolsOf = Callable[[Question], Sequence[Any]]
RightOf = Callable[[Question, Trajectory], Awaitable[bool | None]]


class Roller:
    """Lets the policy work on tasks.

    Args:
        generator: samples replies in batches.
        dialogue: the model's way to write a conversation.
        settings: limits and instructions.
        max_tokens: room for a whole conversation.
        tools_of: the tools of a task.
        right_of: the rule; by default each task's own.
    """

    def __init__(
        self,
        generator: Generator,
        dialogue: Dialogue,
        settings: AgentRollout,
        *,
        max_tokens: int,
        tools_of: ToolsOf,
        right_of: RightOf | None = None,
    ) -> None:
        self._turns: Turns = Lockstep(generator)
        self._dialogue = dialogue
        self._max_tokens = max_tokens
        self._tools_of = tools_of
        self._right_of = right_of or _right
        self._settings = AgentSettings(
            instructions=settings.instructions,
            protocol="text",
            steps=settings.steps,
            tool_seconds=settings.tool_seconds,
            max_result_chars=settings.max_result_chars,
            window_chars=_NO_WINDOW,
        )

    async def rollouts(self, asked: Sequence[Asked]) -> list[Rollout]:
        """One rollout each, in order, side by side."""

        def job(one: Asked) -> Callable[[], Awaitable[Rollout]]:
            return lambda: self._roll(one)

        return await self._turns.run([job(one) for one in asked])

    async def opening(self, asked: Asked) -> list[int]:
        """Ids of what the policy reads before its first turn."""
        reader = PolicyClient(self._turns, self._dialogue, 0)
        with suppress(RolloutFull):
            await self._agent(asked, reader).attempt(asked.question.task, asked.feedback)
        return reader.tokens.prompt

    async def _roll(self, asked: Asked) -> Rollout:
        client, stopped = self._client(), list[ToolReturned]()

        def watch(event: Event) -> None:
            if isinstance(event, ToolReturned) and event.error == "TimeoutError":
                stopped.append(event)

        try:
            with scope.entered(replace(scope.current(), observe=watch)):
                work = await self._agent(asked, client).attempt(asked.question.task, asked.feedback)
            trajectory = work.trajectory
        except RolloutFull:
            trajectory = _unanswered(client, AgentStop.TRUNCATED)
        except AgentError:  # it said nothing, even when asked for its answer
            trajectory = _unanswered(client, AgentStop.STEP_LIMIT if client.tokens.ended else AgentStop.TRUNCATED)
        done = trajectory.model_copy(update={"messages": renumbered(trajectory.messages)})
        return Rollout(client.tokens, done, await self._right_of(asked.question, done), len(stopped))

    def _client(self) -> PolicyClient:
        return PolicyClient(self._turns, self._dialogue, self._max_tokens)

    def _agent(self, asked: Asked, client: PolicyClient) -> ToolAgent:
        return ToolAgent(client, self._tools_of(asked.question), self._settings)


async def _right(question: Question, work: Trajectory) -> bool:
    """The task's own rule."""
    return bool(work.answer.strip()) and question.grade(work)


def _unanswered(client: PolicyClient, stop: AgentStop) -> Trajectory:
    """What there is of an attempt that came to no answer, in the words that the policy wrote."""
    return Trajectory(messages=client.messages[client.opened_with :], answer="", stop=stop)
