"""`with_critique`: an agent goes in, the same agent with a judge comes out."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from os import PathLike
from typing import Any, Literal, ParamSpec, TypeVar, overload

from reagent_sdk.agents import Agent
from reagent_sdk.budget import Budget
from reagent_sdk.calling import callable_name, is_async
from reagent_sdk.clients.base import ChatClient
from reagent_sdk.critique_agent import AsyncCritiqueAgent, CritiqueAgent, Setup
from reagent_sdk.errors import InvalidInput
from reagent_sdk.judges.base import Judge
from reagent_sdk.marks import marks_for
from reagent_sdk.policy import Policy
from reagent_sdk.record import RunLog
from reagent_sdk.specs import FORMS, JudgeLike, agent_for, judge_for

P = ParamSpec("P")
R = TypeVar("R")
LogLike = RunLog | str | PathLike[str] | None


class _Missing:
    """Stands for an agent that was not passed, as in `@with_critique(judge=...)`; None would be a mistake."""


@overload
def with_critique(
    agent: str | ChatClient | Agent,
    *,
    tools: Sequence[Any] | None = None,
    judge: JudgeLike = None,
    policy: Policy | None = None,
    budget: Budget | None = None,
    log: LogLike = None,
    on_low_score: Literal["return", "raise"] | None = None,
) -> CritiqueAgent[..., Any]: ...
@overload
def with_critique(
    agent: Callable[P, R],
    *,
    judge: JudgeLike = None,
    policy: Policy | None = None,
    budget: Budget | None = None,
    log: LogLike = None,
    on_low_score: Literal["return", "raise"] | None = None,
) -> CritiqueAgent[P, R]: ...
@overload
def with_critique(
    *,
    judge: JudgeLike = None,
    policy: Policy | None = None,
    budget: Budget | None = None,
    log: LogLike = None,
    on_low_score: Literal["return", "raise"] | None = None,
) -> Callable[[Callable[P, R]], CritiqueAgent[P, R]]: ...


def with_critique(
    agent: Any = _Missing,
    *,
    tools: Sequence[Any] | None = None,
    judge: JudgeLike = None,
    policy: Policy | None = None,
    budget: Budget | None = None,
    log: LogLike = None,
    on_low_score: Literal["return", "raise"] | None = None,
) -> Any:
    """Wraps an agent in a solve -> judge -> revise loop. The result is called just like the agent itself.

    Works as a function and as a decorator, with or without arguments.

    Args:
        agent: a function, sync or async, that takes a text or chat messages; or the name of a model (see
            :mod:`reagent_sdk.specs`); or a chat client; or any object with an `attempt` method.
        tools: makes a tool-calling agent of a model: typed functions, `@tool` objects or pydantic models.
        judge: a spec, a function `(task, trajectory)`, a Judge, or a list of them to be asked in order. None means
            `$REAGENT_JUDGE`, else the embedded local judge.
        policy: how to revise and what to keep; by default one revision, and the better attempt is returned.
        budget: limits of each run.
        log: path of a run log; every run is appended to it.
        on_low_score: "raise" raises :class:`LowScore` when the best attempt scores below the policy's floor, or below
            the accept threshold where there is no floor; the same as in the policy.

    Returns:
        A :class:`CritiqueAgent`. `.run(task)` and `await .arun(task)` give the whole :class:`Run`.

    Raises:
        InvalidInput: the agent or the judge is none of these, or low scores are to raise and nothing says what is low.
        WeightsUnavailable: a local model is named whose weights are missing.
    """
    if agent is _Missing:
        return functools.partial(
            with_critique,
            tools=tools,
            judge=judge,
            policy=policy,
            budget=budget,
            log=log,
            on_low_score=on_low_score,
        )
    source, owned = _source(agent, tools)
    made = judge_for(judge)
    rules = _typed(policy, Policy) or Policy()
    if on_low_score is not None:
        rules = Policy(**{**dict(rules), "on_low_score": on_low_score})
    marks_for(rules, made)  # what cannot work is told now and not at the first call
    setup = Setup(
        source=source,
        judge=made,
        policy=rules,
        budget=_typed(budget, Budget),
        log=log if isinstance(log, RunLog | None) else RunLog(log),
        owned=(*owned, *(() if isinstance(judge, Judge) else (made,))),
    )
    return AsyncCritiqueAgent(setup) if callable(source) and is_async(source) else CritiqueAgent(setup)


def _source(agent: object, tools: Sequence[Any] | None) -> tuple[Callable[..., Any] | Agent, tuple[Agent, ...]]:
    """What makes attempts, and what of it we must close: a client that was passed in belongs to the caller."""
    if isinstance(agent, str | ChatClient):
        model = agent_for(agent, tools)
        return model, (model,) if isinstance(agent, str) else ()
    if tools is not None:
        raise InvalidInput("tools belong to a model; an agent of your own brings its tools itself")
    if isinstance(agent, Agent):
        return agent, ()
    if inspect.isclass(agent):
        raise InvalidInput(f"{agent.__qualname__} is a class; pass an instance or a function")
    if not callable(agent):
        raise InvalidInput(
            f"cannot wrap {agent!r}: pass a function that takes a question and returns an answer, or a model ({FORMS})"
        )
    if inspect.isgeneratorfunction(agent) or inspect.isasyncgenfunction(agent):
        raise InvalidInput(
            f"{callable_name(agent)} yields instead of returning; pass a function that returns its answer"
        )
    return agent, ()


def _typed(value: Any, kind: type[R]) -> R | None:
    if value is not None and not isinstance(value, kind):
        raise InvalidInput(f"{kind.__name__.lower()} must be a {kind.__name__}, not {value!r}")
    return value
