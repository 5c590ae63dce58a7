"""The judge as an output validator of pydantic-ai: the framework's own retries become revisions."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from os import PathLike
from typing import Any

from pydantic_ai import ModelRetry, RunContext
from pydantic_ai.messages import ModelMessage, ModelRequest
from pydantic_ai.usage import RunUsage

from reagent_adapters.critique import Critique, counted
from reagent_adapters.pydantic_ai_messages import messages_of, split, work_of
from reagent_adapters.results import answer_text
from reagent_sdk.agents import Feedback, Work, evidence
from reagent_sdk.budget import Budget
from reagent_sdk.policy import Policy
from reagent_sdk.prompts import revision_request
from reagent_sdk.record import RunLog
from reagent_sdk.review import Review
from reagent_sdk.run import StopReason
from reagent_sdk.scope import Observer
from reagent_sdk.specs import JudgeLike
from reagent_sdk.task import Task
from reagent_sdk.trajectory import Trajectory

MOST_RUNS = 10_000
"""Runs under way that are remembered at most. One that fails elsewhere never says so; the oldest gives way."""

Validator = Callable[[RunContext[Any], Any], Awaitable[Any]]


@dataclass
class _State:
    """A run under way."""

    review: Review
    start: int
    usage: RunUsage
    feedback: Feedback | None = field(default=None)


def output_critic(
    judge: JudgeLike = None,
    *,
    policy: Policy | None = None,
    budget: Budget | None = None,
    log: RunLog | str | PathLike[str] | None = None,
    observe: Observer | None = None,
) -> Validator:
    """An output validator that judges each output and sends the agent back with the critique.

        agent = Agent(model, retries={"output": 2})
        agent.output_validator(output_critic("local", policy=Policy(rounds=2)))

    The run's output is the best one; its messages end with the last one. The agent needs as many output retries as the
    policy has rounds. Its requests are charged after they are made. :class:`CritiqueAgent` has none of these limits.

    Args:
        judge: a spec, a function `(task, trajectory)`, a Judge or a list of them.
        policy: how to revise and what to keep.
        budget: limits of each run.
        log: path of a run log.
        observe: called with each event; the last one, `RunFinished`, holds the run.

    Raises:
        InvalidInput: as :meth:`Critique.of` says.
    """
    critique = Critique.of(judge, policy=policy, budget=budget, log=log)
    states: OrderedDict[str, _State] = OrderedDict()

    async def validate(ctx: RunContext[Any], output: Any) -> Any:
        if ctx.partial_output:
            return output
        key = str(ctx.run_id)
        state = states.pop(key, None) or _begun(ctx, critique, observe)
        review = state.review
        _charge(state, ctx.usage)
        state.feedback = await review.submit(_work(state, ctx, output))
        if state.feedback is not None and ctx.retry < ctx.max_retries:
            state.start = len(ctx.messages)
            states[key] = state
            while len(states) > MOST_RUNS:
                states.popitem(last=False)
            raise ModelRetry(revision_request(state.feedback.critique))
        if state.feedback is not None:
            review.ended(StopReason.ROUNDS, f"the agent allows {ctx.max_retries} output retries")
        await review.finish()
        return review.output()

    return validate


def _begun(ctx: RunContext[Any], critique: Critique, observe: Observer | None) -> _State:
    """The state of a run that shows its first output: all that was said before the work on it is the task."""
    asked, _ = split(messages_of(ctx.messages))
    start = max(at for at, message in enumerate(ctx.messages) if _asks(message))
    plain = len([message for message in asked if message.role != "system"]) == 1 and isinstance(asked[-1].content, str)
    task = Task.of(asked[-1].text if plain else asked)
    return _State(critique.review(task, observe), start, RunUsage())


def _asks(message: ModelMessage) -> bool:
    return isinstance(message, ModelRequest) and any(part.part_kind == "user-prompt" for part in message.parts)


def _work(state: _State, ctx: RunContext[Any], output: Any) -> Work:
    """The work since the prompt or the last critique, which is the request at `start`."""
    answer = answer_text(output)
    said = work_of(ctx.messages[state.start + 1 :], answer, ctx.tool_name)
    trajectory = Trajectory(messages=(*evidence(state.feedback), *said), answer=answer)
    return Work(trajectory, output)


def _charge(state: _State, now: RunUsage) -> None:
    before, state.usage = state.usage, copy.copy(now)
    state.review.meter.charge(
        counted(
            calls=now.requests - before.requests,
            prompt=now.input_tokens - before.input_tokens,
            completion=now.output_tokens - before.output_tokens,
            cached=now.cache_read_tokens - before.cache_read_tokens,
        )
    )
