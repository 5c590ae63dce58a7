"""An agent with a judge: the object that `with_critique` returns."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, ParamSpec, Protocol, TypeVar, cast

from reagent_sdk.agents import Agent, CallableAgent
from reagent_sdk.budget import Budget
from reagent_sdk.closing import Closing
from reagent_sdk.errors import InvalidInput
from reagent_sdk.events import Event
from reagent_sdk.judges.base import Judge
from reagent_sdk.loop import CritiqueLoop
from reagent_sdk.policy import Policy
from reagent_sdk.record import RunLog
from reagent_sdk.run import Run
from reagent_sdk.scope import Observer
from reagent_sdk.task import Task, TaskInput

P = ParamSpec("P")
R = TypeVar("R")


class _Closable(Protocol):
    async def aclose(self) -> None: ...


@dataclass(frozen=True)
class Setup:
    """What a wrapped agent is made of. `owned` is closed together with it."""

    source: Callable[..., Any] | Agent
    judge: Judge
    policy: Policy
    budget: Budget | None
    log: RunLog | None
    owned: tuple[_Closable, ...] = ()

    async def aclose(self) -> None:
        """Closes what is owned."""
        for one in self.owned:
            await one.aclose()

    def agent(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Agent:
        """The agent of one run; further arguments of the call belong to the wrapped function."""
        if isinstance(self.source, Agent):
            if args or kwargs:
                raise InvalidInput("a model takes the question alone; further arguments need a function")
            return self.source
        return CallableAgent(self.source, args=args, kwargs=kwargs)


class CritiqueAgent(Closing, Generic[P, R]):
    """An agent in a solve -> judge -> revise loop, called like the agent itself.

    A call returns what the agent returned for the attempt that was chosen, in the agent's own type. Close it when done
    (`close`, `with`, `async with`); one that is dropped or still open at exit closes itself.
    """

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup.aclose, owns=bool(setup.owned))
        self._setup = setup
        if not isinstance(setup.source, Agent):
            functools.update_wrapper(self, setup.source, updated=())  # its attributes stay its own

    def __repr__(self) -> str:
        source = self._setup.source
        return f"with_critique({getattr(source, '__qualname__', source)!s}, judge={self._setup.judge.name!r})"

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Answers as the agent would, after critique.

        Raises:
            InvalidInput: the task is empty or no task at all.
            BudgetExceeded: the budget ran out before there was a draft.
            JudgeFailed: no verdict, and the policy makes that an error.
            Exception: what the agent raised on its first attempt.
        """
        return cast(R, self._portal.call(self._answer, args, kwargs))

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        """Binds a decorated method to its object."""
        if instance is None or isinstance(self._setup.source, Agent):
            return self
        bound = replace(self._setup, source=functools.partial(self._setup.source, instance))
        return type(self)(bound)

    def run(self, task: TaskInput, *args: Any, **kwargs: Any) -> Run:
        """Runs the loop and returns all of it: attempts, verdicts, which was chosen and why, usage."""
        return self._portal.call(self._execute, task, args, kwargs)[0]

    async def arun(self, task: TaskInput, *args: Any, **kwargs: Any) -> Run:
        """Like :meth:`run`, in the caller's event loop."""
        return (await self._execute(task, args, kwargs))[0]

    def stream(self, task: TaskInput, *args: Any, **kwargs: Any) -> Iterator[Event]:
        """Events of a run as they happen; the last one is `RunFinished`. Drafts in them may yet be rejected."""
        return self._portal.iterate(self.astream(task, *args, **kwargs))

    async def astream(self, task: TaskInput, *args: Any, **kwargs: Any) -> AsyncGenerator[Event, None]:
        """Like :meth:`stream`, in the caller's event loop. Leaving it early cancels the run."""
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        work = asyncio.ensure_future(self._execute(task, args, kwargs, queue.put_nowait))
        work.add_done_callback(lambda _: queue.put_nowait(None))
        try:
            while (event := await queue.get()) is not None:
                yield event
            await work
        finally:
            work.cancel()
            await asyncio.wait([work])
            _ = work.cancelled() or work.exception()  # taken, or asyncio would complain that nobody looked

    def batch(self, tasks: Sequence[TaskInput], *, concurrency: int = 8) -> list[Run]:
        """Runs many tasks, `concurrency` at a time, and returns their runs in order.

        Raises:
            Exception: the first error of any task; the tasks still under way are cancelled.
        """
        return self._portal.call(functools.partial(self.abatch, tasks, concurrency=concurrency))

    async def abatch(self, tasks: Sequence[TaskInput], *, concurrency: int = 8) -> list[Run]:
        """Like :meth:`batch`, in the caller's event loop."""
        if concurrency < 1:
            raise InvalidInput(f"concurrency must be at least 1, not {concurrency}")
        places = asyncio.Semaphore(concurrency)

        async def one(task: TaskInput) -> Run:
            async with places:
                return await self.arun(task)

        works = [asyncio.ensure_future(one(task)) for task in tasks]
        try:
            return list(await asyncio.gather(*works))
        finally:
            for work in works:
                work.cancel()

    async def _answer(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        task, args, kwargs = self._split(args, dict(kwargs))
        return (await self._execute(task, args, kwargs))[1]

    def _split(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
        """The task of a call, positional or under the name of the function's first parameter, and the rest."""
        if args:
            return args[0], args[1:], kwargs
        if not isinstance(self._setup.source, Agent):
            first = next(iter(inspect.signature(self._setup.source).parameters), None)
            if first in kwargs:
                return kwargs.pop(first), (), kwargs
        raise InvalidInput("no task: pass a question, or chat messages that end with one, as the first argument")

    async def _execute(
        self, task: TaskInput, args: tuple[Any, ...], kwargs: Mapping[str, Any], observe: Observer | None = None
    ) -> tuple[Run, Any]:
        """One run, logged however it ends; and the agent's own output for the chosen attempt."""
        setup = self._setup
        loop = CritiqueLoop(
            Task.of(task),
            setup.agent(args, kwargs),
            setup.judge,
            policy=setup.policy,
            budget=setup.budget,
            observe=observe,
            log=setup.log,
        )
        return await loop.run(), loop.output()


class AsyncCritiqueAgent(CritiqueAgent[P, R]):
    """A :class:`CritiqueAgent` over an async function: calling it gives a coroutine."""

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Any:  # type: ignore[override]
        """Answers as the agent would, after critique; see :meth:`CritiqueAgent.__call__`."""
        return await self._answer(args, kwargs)
