"""A backend that is a child process: started, watched, and started again when it dies."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from reagent_sdk.errors import ModelError, ModelUnavailable
from reagent_sdk.serving.backends import Backend, Target, served_models
from reagent_sdk.serving.child import Child, Launch, spawned
from reagent_sdk.serving.log import EventLog
from reagent_sdk.serving.restarts import Restarts

if TYPE_CHECKING:
    import aiohttp

_SILENCE = 120.0
"""Seconds after which a process that lives and does not answer is started again."""


class Supervised(Backend):
    """Runs an engine as a child process.

    An engine that dies before it ever answered has something wrong with it that another start does not mend.

    Args:
        engine: its name.
        plan: how to start it; called for every start, because a port may have been taken meanwhile.
        log: where its life is told.
        judge: name of the model that judges; None for the first one it lists.
        width: requests that it can work on at a time; None when it queues by itself.
        restarts: how often it is started again.
        interval: seconds between two looks at it.
    """

    def __init__(
        self,
        engine: str,
        plan: Callable[[], Launch],
        log: EventLog,
        *,
        judge: str | None = None,
        width: int | None = None,
        restarts: Restarts | None = None,
        interval: float = 0.5,
    ) -> None:
        super().__init__(engine, judge=judge, width=width)
        self._plan = plan
        self._log = log
        self._allowed = restarts or Restarts()
        self._interval = interval

    async def run(self) -> None:
        """Keeps it up until cancelled, which ends it with all its descendants.

        Raises:
            ModelUnavailable: it died before it ever answered, or too often.
        """
        while True:
            self._log.write("backend", engine=self.engine, state="starting")
            why = await self._one_life()
            self._log.write("backend", engine=self.engine, state="down", why=why)
            if not self.was_ready:
                raise ModelUnavailable(f"{self.engine} did not start: {why}", model=self.engine)
            wait = self._allowed.wait()
            if wait is None:
                told = f"{self.engine} died more than {self._allowed.limit} times in {self._allowed.window:g} seconds"
                raise ModelUnavailable(f"{told}: {why}", model=self.engine)
            await asyncio.sleep(wait)
            self.restarts += 1

    async def _one_life(self) -> str:
        """Starts it and watches it until it dies or falls silent; returns why it is over."""
        import aiohttp

        patience = aiohttp.ClientTimeout(total=10)
        try:
            async with (
                aiohttp.ClientSession(timeout=patience) as session,
                spawned(self._plan(), self.engine, self._log) as child,
            ):
                tasks = {asyncio.ensure_future(child.ended()), asyncio.ensure_future(self._watch(session, child))}
                try:
                    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                    return done.pop().result()
                finally:
                    self.target = None
                    for task in tasks:
                        task.cancel()
                    await asyncio.gather(*tasks, return_exceptions=True)
        except OSError as error:
            return f"it cannot be run ({error.strerror or error})"

    async def _watch(self, session: aiohttp.ClientSession, child: Child) -> str:
        """Notes whether it answers; returns when it has not for too long."""
        endpoint = await child.endpoint()
        heard = None  # loading may take as long as it likes: weights come over the network
        while True:
            if await _healthy(session, endpoint.url.removesuffix("/v1")):
                heard = time.monotonic()
                if self.target is None:
                    try:
                        target = Target(endpoint, await served_models(session, endpoint, self.judge))
                    except ModelError as error:
                        self._log.write("backend", engine=self.engine, state="starting", why=str(error))
                    else:
                        self._answers(target)
                        self._log.write("backend", engine=self.engine, state="up")
            else:
                self.target = None
                if heard is not None and time.monotonic() - heard > _SILENCE:
                    return f"it did not answer for {_SILENCE:g} seconds"
            await asyncio.sleep(self._interval)


async def _healthy(session: aiohttp.ClientSession, root: str) -> bool:
    import aiohttp

    try:
        async with session.get(f"{root}/health", allow_redirects=False) as reply:
            return reply.status == 200
    except (aiohttp.ClientError, TimeoutError, OSError):
        return False
