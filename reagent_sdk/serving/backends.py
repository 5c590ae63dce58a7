"""What stands behind the front: an engine that is there, or not yet, or no more."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reagent_sdk.clients.endpoints import Endpoint
from reagent_sdk.clients.exchange import Exchange
from reagent_sdk.errors import ModelRejected

if TYPE_CHECKING:
    import aiohttp

_LONGEST_LIST = 2**20
_TOLD = ("id", "object", "created", "owned_by", "parent", "max_model_len")
"""Fields of a model that callers see. Others hold paths of the machine."""


@dataclass(frozen=True)
class Target:
    """Where requests go now.

    Attributes:
        endpoint: address and key of the backend.
        models: the models it serves, the judge first, in the format of `/v1/models`.
    """

    endpoint: Endpoint
    models: Sequence[Mapping[str, Any]] = ()

    @property
    def root(self) -> str:
        """The address without `/v1`, where servers have their metrics."""
        return self.endpoint.url.removesuffix("/v1")

    @property
    def headers(self) -> dict[str, str]:
        """The headers that open the backend."""
        key = self.endpoint.authorization
        return {} if key is None else {"Authorization": key.reveal()}


class Backend(ABC):
    """Keeps an engine answering for as long as `run` runs.

    Attributes:
        engine: its name in metrics and logs.
        judge: name of the model that judges, None for the first one that the engine lists.
        target: where to send requests; None while it cannot answer.
        restarts: how often it was started again.
        was_ready: whether it has ever answered.
    """

    def __init__(self, engine: str, *, judge: str | None = None, width: int | None = None) -> None:
        self.engine = engine
        self.judge = judge
        self.target: Target | None = None
        self.restarts = 0
        self.was_ready = False
        self._up = asyncio.Event()
        self._turns = asyncio.Semaphore(width) if width else None

    @abstractmethod
    async def run(self) -> None:
        """Starts the engine and keeps it up until cancelled, which ends it.

        Raises:
            ModelUnavailable: it cannot be kept up.
        """

    def doubt(self) -> None:
        """Tells that a request could not reach the engine: it counts as gone until it was seen again."""
        self.target = None

    async def ready(self) -> Target:
        """Waits until it answers."""
        while (target := self.target) is None:
            self._up.clear()
            await self._up.wait()
        return target

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Holds one of the places that the engine has for requests; those that wait here cost it nothing."""
        if self._turns is None:
            yield
            return
        async with self._turns:
            yield

    def _answers(self, target: Target) -> None:
        self.target = target
        self.was_ready = True
        self._up.set()


async def served_models(session: aiohttp.ClientSession, endpoint: Endpoint, judge: str | None) -> list[dict[str, Any]]:
    """What a server serves, the judge first: clients that name no model take the first one.

    Raises:
        ModelError: it does not answer, or not with a list of models.
    """
    exchange = Exchange(endpoint, endpoint.url, _LONGEST_LIST)
    try:
        listed = (await exchange.get(session, "/models")).get("data")
    except ModelRejected as error:
        if error.status not in (404, 405):
            raise
        listed = []  # a server need not list its models
    found = [row for row in listed if isinstance(row, dict)] if isinstance(listed, list) else []
    rows = [{name: row[name] for name in _TOLD if name in row} for row in found if isinstance(row.get("id"), str)]
    if judge is None:
        return rows
    owner = next((row["owned_by"] for row in rows if "owned_by" in row), "")
    named = [row for row in rows if row["id"] == judge] or [{"id": judge, "object": "model", "owned_by": owner}]
    return named + [row for row in rows if row["id"] != judge]
