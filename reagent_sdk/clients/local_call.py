"""One call to a model of this process: from its worker thread to the event loop, and the stop signal the other way."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import anyio

from reagent_sdk import scope
from reagent_sdk.clients.streamed import Chunk, Streamed
from reagent_sdk.errors import BadReply, ContextOverflow, ModelError, ModelRejected, ModelUnavailable
from reagent_sdk.events import PromptProgress, TextDelta

_GRACE_SECONDS = 10.0


class LocalCall:
    """One call under way: chunks arrive on a worker thread and are dealt with on the event loop's, in order."""

    def __init__(self) -> None:
        self.reply = Streamed()
        self._loop = asyncio.get_running_loop()
        self._scope = scope.current()
        self._context = contextvars.copy_context()
        self._stopped = False
        self._failure: Exception | None = None

    def on_chunk(self, chunk: Chunk) -> bool:
        """Worker thread: passes the chunk on; True asks the model to stop."""
        if not self._stopped:
            try:
                self._loop.call_soon_threadsafe(self._take, chunk, context=self._context)
            except RuntimeError:  # the loop was closed: nobody waits any more
                self._stopped = True
        return self._stopped

    def cancel(self) -> None:
        """Event loop: stops the generation at its next chunk."""
        self._stopped = True

    def check(self, model: str) -> None:
        """Raises what went wrong, if anything did."""
        failure, self._failure = self._failure, None
        if failure is not None:
            try:
                raise failure
            finally:
                del failure
        if self.reply.error is not None:
            raise _error(self.reply.error, model)
        if self.reply.finish_reason is None:
            raise BadReply("the model broke off without finishing its reply", model=model)

    def _take(self, chunk: Chunk) -> None:
        if self._failure is not None:
            return
        text = self.reply.add(chunk)
        try:
            if "prompt_progress" in chunk:
                self._scope.emit(PromptProgress(self._scope.stage, self.reply.prompt_done, self.reply.prompt_total))
            if text:
                self._scope.emit(TextDelta(self._scope.stage, text))
        except Exception as error:  # an observer failed; the event loop would only log it
            self._failure, self._stopped = error, True


async def finished(future: Future[None], cancel: Callable[[], None]) -> None:
    """Waits for a worker's job. When cancelled, tells it to stop and gives it a moment to free its slot."""
    waiter = asyncio.wrap_future(future)
    try:
        await asyncio.shield(waiter)
    except asyncio.CancelledError:
        cancel()
        if not future.cancel():  # it is under way, not in the queue
            with anyio.move_on_after(_GRACE_SECONDS, shield=True):
                await asyncio.wait([waiter])
        raise
    finally:
        del future, waiter  # else an error and this frame hold each other, and the engine, until the next collection


def _error(error: dict[str, Any], model: str) -> ModelError:
    message, status = str(error.get("message", error)), error.get("code")
    status = status if isinstance(status, int) else None
    if error.get("type") == "exceed_context_size_error":
        return ContextOverflow(message, model=model, status=status)
    if status is not None and 400 <= status < 500:
        return ModelRejected(message, model=model, status=status)
    return ModelUnavailable(message, model=model, status=status)
