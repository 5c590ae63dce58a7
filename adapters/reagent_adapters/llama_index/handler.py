"""The handle of a run under way: awaited, streamed and cancelled like a `WorkflowHandler`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator
from contextlib import suppress
from typing import Any, Generic, TypeVar

import anyio
from llama_index.core.workflow import Event, StopEvent, WorkflowRuntimeError
from workflows.errors import WorkflowCancelledByUser
from workflows.handler import WorkflowHandler

from reagent_adapters.critique import Critique
from reagent_adapters.llama_index.events import Relay
from reagent_sdk.agents import Agent
from reagent_sdk.run import Run
from reagent_sdk.task import Task

R = TypeVar("R")
_SECONDS_TO_END = 5.0


class CritiqueHandler(Awaitable[R], Generic[R]):
    """A run under way. Await it for the result; cancelling whoever awaits or streams it cancels the run.

    Attributes:
        run: all attempts and verdicts, which was chosen and why; None until the run ended.
    """

    def __init__(self, work: Callable[[CritiqueHandler[R]], Coroutine[Any, Any, R]]) -> None:
        self.run: Run | None = None
        self._inner: Any = None
        self._events: asyncio.Queue[Event | None] = asyncio.Queue()
        self._streamed = self._stopped = False
        self._task = asyncio.get_running_loop().create_task(work(self))
        self._task.add_done_callback(self._close)

    def __await__(self) -> Generator[Any, Any, R]:
        return self._result().__await__()

    @property
    def ctx(self) -> Any:
        """Context of the attempt under way, or of the last one; None before the first. Answers for
        `InputRequiredEvent` go to its `send_event`.
        """
        return None if self._inner is None else self._inner.ctx

    def is_done(self) -> bool:
        """Whether the run has ended."""
        return self._task.done()

    async def stream_events(self) -> AsyncGenerator[Event, None]:
        """Events of the run; the last one is a `StopEvent` with the result, unless the run failed.

        Raises:
            WorkflowRuntimeError: they were streamed before.
        """
        if self._streamed:
            raise WorkflowRuntimeError("All the streamed events have already been consumed.")
        try:
            while (event := await self._events.get()) is not None:
                yield event
        except asyncio.CancelledError:
            await self._abandon()
            raise
        self._streamed = True

    async def cancel_run(self) -> None:
        """Stops the agent or the judge, whoever is at work, and waits until they have. Awaiting then raises
        `WorkflowCancelledByUser`.
        """
        self._stopped = self._stopped or not self._task.done()
        self._task.cancel()
        await asyncio.wait([self._task])

    async def critiqued(self, critique: Critique, task: Task, agent: Agent, relay: Relay) -> Any:
        """Runs the loop and returns the output of the chosen attempt.

        Raises:
            BudgetExceeded: the budget ran out before there was a draft.
            JudgeFailed: no verdict, and the policy makes that an error.
            LowScore: the chosen attempt scored below the floor, and the policy makes that an error.
            Exception: what the first attempt raised.
        """
        loop = critique.loop(task, agent, relay.observe)
        try:
            await loop.run()
        finally:
            self.run = loop.result()
        relay.finish(self.run)
        return loop.output()

    def emit(self, event: Event) -> None:
        """Adds an event to the stream."""
        self._events.put_nowait(event)

    async def follow(self, handler: WorkflowHandler, see: Callable[[Event], None]) -> Any:
        """The result of one attempt, whose events go to `see`; cancelled together with the run."""
        self._inner = handler
        try:
            async for event in handler.stream_events():
                see(event)
            return await handler
        except BaseException:
            with anyio.CancelScope(shield=True):
                await _end(handler)
            raise

    async def _result(self) -> R:
        try:
            return await asyncio.shield(self._task)  # whoever is cancelled again and again must not disturb the ending
        except asyncio.CancelledError:
            if self._stopped:
                raise WorkflowCancelledByUser("the run was cancelled") from None
            await self._abandon()
            raise

    async def _abandon(self) -> None:
        """Cancels the run for a caller who was cancelled, and waits until agent and judge have stopped."""
        self._task.cancel()
        with anyio.CancelScope(shield=True):
            await asyncio.wait([self._task])

    def _close(self, task: asyncio.Task[R]) -> None:
        if not task.cancelled() and task.exception() is None:
            self._events.put_nowait(StopEvent(result=task.result()))
        self._events.put_nowait(None)


async def _end(handler: WorkflowHandler) -> None:
    """Stops a workflow that runs on when whoever awaits it is cancelled."""
    if not handler.is_done():
        await handler.cancel_run()
        with anyio.move_on_after(_SECONDS_TO_END), suppress(Exception, asyncio.CancelledError):
            await handler
