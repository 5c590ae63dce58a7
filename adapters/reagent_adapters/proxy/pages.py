"""The pages that the proxy answers itself: probes, metrics, models."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from reagent_adapters.proxy.caller import caller_of
from reagent_adapters.proxy.rules import split_model
from reagent_adapters.proxy.upstream import Json, Origin, Upstream
from reagent_adapters.proxy.watch import Watch
from reagent_sdk.serving.account import Account
from reagent_sdk.serving.answers import Refused
from reagent_sdk.serving.drain import Drain
from reagent_sdk.serving.metrics import CONTENT_TYPE, Metrics
from reagent_sdk.serving.pages import Answer


@dataclass(frozen=True)
class Pages:
    """The pages of one proxy.

    Attributes:
        upstream: what drafts.
        watch: what can be reached.
        drain: whether the server is on its way out.
        metrics: its numbers.
    """

    upstream: Upstream
    watch: Watch
    drain: Drain
    metrics: Metrics

    async def health(self, request: Request) -> Response:
        """200: the process lives."""
        return JSONResponse({"status": "ok"})

    async def ready(self, request: Request) -> Response:
        """200 when the upstream can be reached and the server stays.

        A judge that cannot be reached is told and is no reason to send requests elsewhere: they are answered.
        """
        up = self.watch.upstream_state == "up"
        status = "draining" if self.drain.draining else "ready" if up else "down"
        told = {"status": status, "upstream": self.watch.upstream_state, "judge": self.watch.judge_state}
        if status == "ready":
            return JSONResponse(told)
        return JSONResponse(told, status_code=503, headers={"Retry-After": "2"})

    async def metrics_page(self, request: Request) -> Response:
        """All numbers."""
        return Response(self.metrics.page(), media_type=CONTENT_TYPE)

    async def models(self, request: Request) -> Response:
        """The models that callers can name; each takes the suffixes `:critique` and `:bare`."""
        try:
            return JSONResponse({"object": "list", "data": await self._rows(request)})
        except Refused as refused:
            return Answer(refused)

    async def model(self, request: Request) -> Response:
        """One of them."""
        try:
            name, _ = split_model(request.path_params["name"])
            found = [row for row in await self._rows(request) if row.get("id") == name]
        except Refused as refused:
            return Answer(refused)
        if not found:
            return Answer(Refused(404, "there is no such model", code="model_not_found", param="model"))
        return JSONResponse(found[0])

    async def _rows(self, request: Request) -> list[Json]:
        key = caller_of(request.scope).upstream_key
        return await self.upstream.models(Origin(Account.of(request.scope), key))
