"""One run's attempts by an agent of pydantic-ai, their messages and what their model calls use."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

from pydantic_ai import AgentRunResult, DeferredToolRequests
from pydantic_ai.agent import AbstractAgent
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.usage import RunUsage

from reagent_adapters.critique import charge, counted
from reagent_adapters.pydantic_ai_messages import before_answer, messages_of, prompt_message, split, work_of
from reagent_adapters.results import answer_text
from reagent_sdk import scope
from reagent_sdk.agents import Feedback, Work, evidence
from reagent_sdk.messages import Message
from reagent_sdk.prompts import revision_request
from reagent_sdk.task import Task
from reagent_sdk.trajectory import Trajectory
from reagent_sdk.usage import Usage

CALL = Usage(calls=1)
FIRST_ONLY = ("user_prompt", "message_history", "deferred_tool_results", "run_id")
"""Options that belong to the first attempt; a revision goes on from it."""


class Waiting(Exception):
    """An attempt stopped for tool calls that somebody else must approve or make, so there is nothing to judge yet."""

    def __init__(self, result: AgentRunResult[Any]) -> None:
        super().__init__("it waits for deferred tool calls")
        self.result = result


@dataclass(frozen=True)
class _Made:
    """An attempt's result, and its messages after the history as if no draft had come before it."""

    result: AgentRunResult[Any]
    turn: list[ModelMessage]


class Attempts:
    """The agent of one run: the first attempt is a plain run, a revision goes on from the one before.

    Usage adds up over all attempts, so that `usage_limits` hold for all of them together.

    Args:
        agent: who works.
        options: what `agent.run` takes.
    """

    def __init__(self, agent: AbstractAgent[Any, Any], options: dict[str, Any]) -> None:
        self._agent = agent
        given = dict(options)
        self._options = {**_conversation(given), **given}
        self._options["usage"] = self._options.get("usage") or RunUsage()
        self._history: list[ModelMessage] = list(self._options.get("message_history") or ())
        self._made: list[_Made] = []
        said = messages_of(self._history)
        prompt = self._options.get("user_prompt")
        self._asked, self._begun = split([*said, *([prompt_message(prompt)] if prompt else [])])

    def task(self) -> Task:
        """The task as the judge reads it.

        Raises:
            InvalidInput: neither prompt nor history asks anything.
        """
        asked: list[Message] = self._asked
        return Task.of(asked[0].text) if len(asked) == 1 and isinstance(asked[0].content, str) else Task.of(asked)

    async def attempt(self, task: Task, feedback: Feedback | None) -> Work:
        """Runs the agent once.

        Raises:
            Waiting: the agent waits for deferred tool calls.
            BudgetExceeded: the budget allows no further model call.
            AgentError: there was no answer.
        """
        before = self._made[-1] if feedback else None
        options = dict(self._options)
        if before is not None and feedback is not None:
            options = {name: value for name, value in options.items() if name not in FIRST_ONLY}
            options["user_prompt"] = revision_request(feedback.critique)
            options["message_history"] = before.result.all_messages()
        if self._agent.event_stream_handler is not None:
            options["event_stream_handler"] = _unheard
        meter = Metered(options["usage"])
        options["capabilities"] = [*(options.get("capabilities") or ()), meter]
        result: AgentRunResult[Any] = await self._agent.run(**options)
        meter.settle()
        if isinstance(result.output, DeferredToolRequests):
            raise Waiting(result)
        answer = answer_text(result.output)
        new = result.new_messages()
        work = _unprompted(new, answer, result._output_tool_name)
        self._made.append(_Made(result, new if before is None else [*before_answer(before.turn), *new[1:]]))
        done = (*(self._begun if before is None else evidence(feedback)), *work)
        return Work(Trajectory(messages=done, answer=answer, usage=meter.used), result)

    def settle(self, chosen: AgentRunResult[Any]) -> AgentRunResult[Any]:
        """Leaves drafts and critiques out of the chosen result's messages, so that the next turn knows none of them."""
        made = next(made for made in self._made if made.result is chosen)
        chosen._state.message_history = [*self._history, *made.turn]
        chosen._new_message_index = len(self._history)
        return chosen

    async def aclose(self) -> None:
        """Nothing to free."""


class Metered(AbstractCapability[Any]):
    """Asks the run's meter before each model request of one attempt, and tells it what the request used.

    Agents that a tool runs make requests of their own. Where the tool passes `usage=ctx.usage`, as the framework
    advises, they are charged when the attempt ends.
    """

    def __init__(self, total: RunUsage) -> None:
        self.used = Usage()
        self._total = total
        self._before = copy.copy(total)

    async def wrap_model_request(self, ctx: Any, *, request_context: Any, handler: Any) -> ModelResponse:
        """Counts the request or refuses it, and makes it."""
        scope.current().meter.admit()
        self.used += CALL
        response: ModelResponse = await handler(request_context)
        told, price = response.usage, _price(response)
        tokens = counted(
            calls=1, prompt=told.input_tokens, completion=told.output_tokens, cached=told.cache_read_tokens
        )
        priced = {"calls": 0} if price is None else {"calls": 0, "priced_usd": price, "unpriced_calls": 0}
        self.used += charge(tokens.model_copy(update=priced))
        return response

    def settle(self) -> None:
        """Charges requests that were made through the same usage, but not here."""
        calls = self._total.requests - self._before.requests - self.used.calls
        if calls > 0:
            told, known = self._total, self._before
            self.used += charge(
                counted(
                    calls=calls,
                    prompt=max(0, told.input_tokens - known.input_tokens - self.used.prompt_tokens),
                    completion=max(0, told.output_tokens - known.output_tokens - self.used.completion_tokens),
                )
            )


def _price(response: ModelResponse) -> float | None:
    if not response.model_name:
        return None
    try:
        return float(response.cost().total_price)
    except (LookupError, ValueError):  # a model or a usage that nobody can price
        return None


async def _unheard(ctx: Any, events: Any) -> None:
    """Stands in for the agent's own event handler, which would hear of drafts that are rejected later."""
    async for _ in events:
        pass


def _conversation(options: dict[str, Any]) -> dict[str, Any]:
    """A conversation in its parts: the framework would go on from it once, and a revision must not repeat that."""
    conversation = options.pop("conversation", None)
    if conversation is None:
        return {}
    return {
        "message_history": conversation.messages,
        "usage": copy.copy(conversation.usage),
        "conversation_id": conversation.conversation_id,
    }


def _unprompted(new: list[ModelMessage], answer: str, output_tool: str | None) -> list[Message]:
    """The work in an attempt's messages, of which the first holds the prompt, and results that were waited for."""
    first = [message for message in messages_of(new[:1]) if message.role == "tool"]
    return [*first, *work_of(new[1:], answer, output_tool)]
