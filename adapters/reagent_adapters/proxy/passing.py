"""Methods that are no chats, such as embeddings: an application has one base URL for all of them."""

from __future__ import annotations

import asyncio
import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reagent_adapters.proxy.request import admitted, answered
from reagent_adapters.proxy.rules import split_model
from reagent_adapters.proxy.upstream import Json, Upstream
from reagent_sdk import scope as run_scope
from reagent_sdk.serving.answers import Refused

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

METHODS = ("/completions", "/embeddings", "/moderations", "/rerank", "/score", "/tokenize")
"""What is passed to an upstream's address, under the same limits as chats and unjudged."""


@dataclass(frozen=True)
class Passing:
    """Passes requests of one method through.

    Attributes:
        upstream: where to.
        path: the method.
        body_bytes: largest request.
        seconds: longest time for one request.
    """

    upstream: Upstream
    path: str
    body_bytes: int
    seconds: float

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        await answered(scope, receive, send, self.body_bytes, functools.partial(self._pass, scope))

    async def _pass(self, scope: Scope, given: Json, send: Send) -> None:
        named = given.get("model")
        model = split_model(named)[0] if isinstance(named, str) else ""
        body = {**given, "model": model} if model else given
        async with admitted(scope, model, self.seconds) as admission, asyncio.timeout(self.seconds):
            with run_scope.entered(run_scope.Scope(admission.meter)):
                if not await self.upstream.pass_on(self.path, body, admission.origin, send):
                    raise Refused(404, "this upstream answers chats only")
