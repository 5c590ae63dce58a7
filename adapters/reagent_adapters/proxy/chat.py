"""Requests that ask for an answer in words, from their fields to the end of the answer."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from starlette.responses import Response

from reagent_adapters.proxy.ask import Ask, read_ask
from reagent_adapters.proxy.dialects import Dialect
from reagent_adapters.proxy.refusals import refusal_for
from reagent_adapters.proxy.report import headers_of
from reagent_adapters.proxy.request import Admission, admitted, answered
from reagent_adapters.proxy.rules import FIELD, HEADER, Defaults
from reagent_adapters.proxy.runs import Runner, completion_of, finished
from reagent_adapters.proxy.sse import EventStream, Pace, encoded
from reagent_adapters.proxy.streaming import stream_of, without_usage
from reagent_adapters.proxy.upstream import Json, Origin
from reagent_sdk import scope as run_scope
from reagent_sdk.clients.replies import usage_from
from reagent_sdk.errors import JudgeFailed, LowScore
from reagent_sdk.judges.base import calls_per_verdict
from reagent_sdk.serving.account import Account

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send


@dataclass(frozen=True)
class Settings:
    """How requests are taken.

    Attributes:
        defaults: what holds unless a request says otherwise.
        body_bytes: largest request.
        max_choices: most answers to one request.
        pace: timing of streams.
    """

    defaults: Defaults
    body_bytes: int = 8 * 2**20
    max_choices: int = 16
    pace: Pace = field(default_factory=Pace)


@dataclass(frozen=True)
class Chat:
    """Answers the requests of one dialect.

    Attributes:
        runner: runs the loop.
        dialect: the format of requests and answers.
        settings: how requests are taken.
    """

    runner: Runner
    dialect: Dialect
    settings: Settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        await answered(scope, receive, send, self.settings.body_bytes, functools.partial(self._take, scope))

    async def _take(self, scope: Scope, given: Json, send: Send) -> None:
        header = dict(scope["headers"]).get(HEADER.lower().encode(), b"").decode("latin-1")
        body = self.dialect.to_chat(given)
        ask = read_ask(body, header, self.settings.defaults, max_choices=self.settings.max_choices)
        model, calls = str(ask.body.get("model", "")), ask.calls(calls_per_verdict(self.runner.judge))
        async with admitted(scope, model, ask.rules.way.seconds, calls) as admission:
            with run_scope.entered(run_scope.Scope(admission.meter)):
                await self._answer(ask, given, admission, send)

    async def _answer(self, ask: Ask, given: Json, admission: Admission, send: Send) -> None:
        origin = admission.origin
        if ask.rules.bare:
            async with asyncio.timeout(ask.rules.way.seconds):
                await self._bare(ask, given, origin, send, counted=admission.counted)
        elif ask.stream:
            await self._stream(stream_of(self.runner, ask, origin), given, origin.account, send)
        else:
            await self._whole(ask, given, origin, send)

    async def _whole(self, ask: Ask, given: Json, origin: Origin, send: Send) -> None:
        try:
            choices = await finished(self.runner.start(ask, origin))
        except (LowScore, JudgeFailed) as error:
            refused = refusal_for(error)
            if refused is None:
                raise
            refused.headers.update(headers_of([self.runner.report(error.run)]))
            raise refused from None
        reports = [choice.report for choice in choices]
        _tell(origin.account, reports)
        await self._send_whole(completion_of(choices), given, origin.account, send, headers_of(reports))

    async def _send_whole(
        self, completion: Json, given: Json, account: Account, send: Send, headers: dict[str, str]
    ) -> None:
        used = usage_from(completion.get("usage"))
        account.usage = None if used.unmetered_calls else used
        answer = self.dialect.from_chat(completion, given)
        response = Response(encoded(answer), media_type="application/json", headers=headers)
        await send({"type": "http.response.start", "status": 200, "headers": response.raw_headers})
        await send({"type": "http.response.body", "body": bytes(response.body), "more_body": False})

    async def _stream(self, chunks: AsyncGenerator[Json, None], given: Json, account: Account, send: Send) -> None:
        pieces = self.dialect.events(_noted(chunks, account), given)
        await EventStream(send, pieces, self.settings.pace, self.dialect.wrong).run()

    async def _bare(self, ask: Ask, given: Json, origin: Origin, send: Send, *, counted: bool) -> None:
        """Passes a request through; under a budget with a stream's usage asked for, whether or not the caller did."""
        upstream, path = self.runner.upstream, self.dialect.path
        uncounted = ask.stream and counted and not ask.include_usage
        self.runner.metrics.passed("bare")
        origin.account.told["run"] = "bare"
        if path is not None and not uncounted and await upstream.pass_on(path, ask.passed_on, origin, send):
            return
        if ask.stream:
            asked = ask.passed_on
            if uncounted:
                asked["stream_options"] = {**ask.stream_options, "include_usage": True}
            chunks = _noted(upstream.stream(asked, origin), origin.account)
            await self._stream(without_usage(chunks) if uncounted else chunks, given, origin.account, send)
            return
        completion = await upstream.complete(ask.passed_on, origin, live=False)
        await self._send_whole(completion, given, origin.account, send, {"X-Reagent-Status": "unjudged"})


async def _noted(chunks: AsyncGenerator[Json, None], account: Account) -> AsyncGenerator[Json, None]:
    """The same chunks; what they report goes into the account."""
    reports = []
    async with aclosing(chunks):
        async for one in chunks:
            if one.get("usage"):
                used = usage_from(one["usage"])
                account.usage = None if used.unmetered_calls else used
            told = one.get(FIELD)
            if isinstance(told, dict) and "status" in told:
                reports.append(told)
                _tell(account, reports)
            yield one


def _tell(account: Account, reports: list[Json]) -> None:
    account.told["run"] = ",".join(report["status"] for report in reports)
    account.told["attempts"] = ",".join(str(len(report["attempts"])) for report in reports)
    account.told["stop"] = ",".join(str(report["stop"] or "-") for report in reports)
