"""One run's attempts by agents of the OpenAI Agents SDK, their memory and what their model calls use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from agents import Agent, ItemHelpers, RunContextWrapper, RunHooks, Runner, RunResult, RunState, TResponseInputItem
from agents.memory import Session
from agents.usage import Usage as Reported

from reagent_adapters.critique import admit, charge, counted
from reagent_adapters.openai_agents_items import Draft, messages_of, split, without_draft
from reagent_adapters.results import answer_text
from reagent_sdk.agents import Feedback, Work, evidence
from reagent_sdk.prompts import revision_request
from reagent_sdk.task import Task
from reagent_sdk.trajectory import Trajectory
from reagent_sdk.usage import Usage

Given: TypeAlias = "str | list[TResponseInputItem] | RunState[Any]"


class Waiting(Exception):
    """An attempt stopped for approvals, so there is nothing to judge yet."""

    def __init__(self, result: RunResult, saved: list[Any]) -> None:
        super().__init__("it waits for the approval of tool calls")
        self.result = result
        self.saved = saved


@dataclass(frozen=True)
class _Made:
    """An attempt's result, and the turn in the conversation that it stands for."""

    result: RunResult
    asked: list[Any]
    carried: list[Any]
    new: list[Any]


class Attempts:
    """The agent of one run: the first attempt is a plain run, a revision goes on from the one before.

    Args:
        agent: who begins. A revision is made by the agent that gave the answer before.
        given: the input of the first attempt.
        options: what else `agents.Runner.run` takes.
    """

    def __init__(self, agent: Agent[Any], given: Given, options: dict[str, Any]) -> None:
        self._agent = agent
        self._given = given
        self._options = options
        self._session: Session | None = options.get("session")
        self._made: list[_Made] = []

    async def attempt(self, task: Task, feedback: Feedback | None) -> Work:
        """Runs the agent once.

        Raises:
            Waiting: the agent waits for the approval of tool calls.
            BudgetExceeded: the budget allows no further model call.
            AgentError: there was no answer.
        """
        before = self._made[-1] if feedback else None
        draft = Draft(self._session) if self._session is not None else None
        meter = _Metered(self._options.get("hooks"))
        result = await Runner.run(
            before.result.last_agent if before else self._agent,
            _revision(before, feedback) if before and feedback else self._given,
            **{**self._options, "session": draft, "hooks": meter},
        )
        meter.settle(result.context_wrapper)
        if result.interruptions:
            raise Waiting(result, draft.added if draft else [])
        new = result.to_input_list()[len(ItemHelpers.input_to_new_input_list(result.input)) :]
        if before is None:
            asked, saved = split(draft.added if draft else result.to_input_list())
            self._made.append(_Made(result, asked, [], saved))
        else:
            self._made.append(_Made(result, before.asked, without_draft(before.carried + before.new), new))
        done = (*evidence(feedback), *messages_of(new))
        trajectory = Trajectory(messages=done, answer=answer_text(result.final_output), usage=meter.used)
        return Work(trajectory, result)

    async def settle(self, chosen: RunResult) -> RunResult:
        """Puts the chosen turn into the session and into the result's own history, as if it had been the only one."""
        made = next(made for made in self._made if made.result is chosen)
        if made is not self._made[0]:
            chosen.input = [*made.asked, *made.carried]
        if self._session is not None:
            await self._session.add_items([*made.asked, *made.carried, *made.new])
        return chosen

    async def aclose(self) -> None:
        """Nothing to free."""


async def task_of(given: Given, session: Session | None) -> Task:
    """The task as the judge reads it: the question, after what the session remembers.

    Raises:
        InvalidInput: the input ends with nothing that asks.
    """
    asked = given._original_input if isinstance(given, RunState) else given
    remembered = await session.get_items() if session is not None and not isinstance(given, RunState) else []
    if isinstance(asked, str) and not remembered:
        return Task.of(asked)
    return Task.of(messages_of([*remembered, *ItemHelpers.input_to_new_input_list(asked)]))


def _revision(before: _Made, feedback: Feedback) -> list[Any]:
    request = {"role": "user", "content": revision_request(feedback.critique)}
    return [*before.asked, *before.carried, *before.new, request]


class _Metered(RunHooks[Any]):
    """Hooks that ask the run's meter before each model call; all else goes to the user's hooks.

    Agents that are used as tools run without these hooks. What they use shows in the context's usage, and is charged
    before the next call.
    """

    def __init__(self, inner: RunHooks[Any] | None) -> None:
        self.used = Usage()
        self._inner = inner
        self._seen: Reported | None = None
        self._admitted = 0
        for name in dir(RunHooks):
            if inner is not None and name.startswith("on_") and name != "on_llm_start":
                setattr(self, name, getattr(inner, name))

    async def on_llm_start(
        self, context: RunContextWrapper[Any], agent: Agent[Any], system_prompt: str | None, input_items: list[Any]
    ) -> None:
        """Counts the call, or refuses it."""
        self.settle(context)
        admit()
        self._admitted += 1
        self.used += Usage(calls=1, unpriced_calls=1)
        if self._inner is not None:
            await self._inner.on_llm_start(context, agent, system_prompt, input_items)

    def settle(self, context: RunContextWrapper[Any]) -> None:
        """Charges what the context counted since the last time."""
        now = context.usage
        seen = self._seen or now  # a resumed state brings the usage of the runs before this one
        nested = max(0, now.requests - seen.requests - self._admitted)
        prompt, completion = now.input_tokens - seen.input_tokens, now.output_tokens - seen.output_tokens
        told = counted(
            calls=nested,
            prompt=prompt,
            completion=completion,
            cached=now.input_tokens_details.cached_tokens - seen.input_tokens_details.cached_tokens,
            unmetered=0 if prompt or completion else nested + self._admitted,
        )
        self.used += charge(told)
        self._seen = Reported(
            requests=now.requests,
            input_tokens=now.input_tokens,
            output_tokens=now.output_tokens,
            input_tokens_details=now.input_tokens_details,
        )
        self._admitted = 0
