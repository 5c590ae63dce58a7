"""A backend that somebody else runs."""

from __future__ import annotations

import asyncio

from reagent_sdk.clients.endpoints import Endpoint
from reagent_sdk.errors import ModelError
from reagent_sdk.serving.backends import Backend, Target, served_models
from reagent_sdk.serving.log import EventLog


class Attached(Backend):
    """Looks whether a server answers, and forwards to it while it does.

    Args:
        endpoint: its address and key.
        judge: name of the model there that judges; None for the first one it lists.
        log: where it is told when the server comes and goes.
        interval: seconds between two looks.
    """

    def __init__(self, endpoint: Endpoint, judge: str | None, log: EventLog, *, interval: float = 2.0) -> None:
        super().__init__("attach", judge=judge)
        self._endpoint = endpoint
        self._log = log
        self._interval = interval

    async def run(self) -> None:
        """Looks again and again until cancelled."""
        import aiohttp

        told = ""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
            while True:
                try:
                    rows = await served_models(session, self._endpoint, self.judge)
                except ModelError as error:
                    self.target, state = None, str(error)
                else:
                    self._answers(Target(self._endpoint, rows))
                    state = "up"
                if state != told:
                    told = state
                    self._log.write("backend", engine=self.engine, state=state)
                await asyncio.sleep(self._interval)
