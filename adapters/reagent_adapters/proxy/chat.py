"""One chat request, from its body to the end of its answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from starlette.responses import Response

from reagent_adapters.proxy.ask import Ask, read_ask, read_json
from reagent_adapters.proxy.caller import Caller, caller_of
from reagent_adapters.proxy.dialects import Dialect
from reagent_adapters.proxy.refusals import refusal_for
from reagent_adapters.proxy.report import headers_of
from reagent_adapters.proxy.rules import FIELD, HEADER, Defaults
from reagent_adapters.proxy.runs import Runner, completion_of, finished
from reagent_adapters.proxy.sse import EventStream, Pace, encoded
from reagent_adapters.proxy.streaming import stream_of, without_usage
from reagent_adapters.proxy.upstream import BrokenOff, Json, Origin
from reagent_sdk import scope as run_scope
from reagent_sdk.budget import Budget, Meter
from reagent_sdk.clients.replies import usage_from
from reagent_sdk.errors import JudgeFailed, LowScore
from reagent_sdk.serving.account import Account
from reagent_sdk.serving.answers import Refused
from reagent_sdk.serving.bodies import Disconnected, read_json_body, unless_gone

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

    from reagent_sdk.serving.log import EventLog


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
        log: where failures are told.
    """

    runner: Runner
    dialect: Dialect
    settings: Settings
    log: EventLog

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        account, begun = Account.of(scope), False

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            raw = await read_json_body(scope, receive, limit=self.settings.body_bytes)
            given = read_json(raw)
            header = dict(scope["headers"]).get(HEADER.lower().encode(), b"").decode("latin-1")
            body = self.dialect.to_chat(given)
            ask = read_ask(body, header, self.settings.defaults, max_choices=self.settings.max_choices)
            caller = caller_of(scope)
            account.told["caller"] = caller.name
            caller.require_model(str(ask.body.get("model", "")))
            await caller.admit()
            await unless_gone(self._answer(ask, given, caller, scope, noted), receive)
        except Disconnected:
            return
        except Refused as refused:
            if begun:
                account.broken = True
            else:
                await refused.send(scope, receive, send)
        except BrokenOff:
            account.broken = True  # an answer without an end: the server cuts the connection

    async def _answer(self, ask: Ask, given: Json, caller: Caller, scope: Scope, send: Send) -> None:
        account = Account.of(scope)
        meter = Meter(self._budget(ask, caller))
        origin = _origin(caller, account, scope)
        try:
            with run_scope.entered(run_scope.Scope(meter)):
                if ask.rules.bare:
                    async with asyncio.timeout(ask.rules.way.seconds):
                        counted = caller.budget() is not None
                        await self._bare(ask, given, origin, send, counted=counted)
                elif ask.stream:
                    await self._stream(stream_of(self.runner, ask, origin), given, account, send)
                else:
                    await self._whole(ask, given, origin, send)
        except TimeoutError:
            raise Refused(504, "the time for this request was up before there was an answer") from None
        except Exception as error:
            refused = refusal_for(error)
            if refused is None:
                raise
            if isinstance(error, LowScore | JudgeFailed):
                refused.headers.update(headers_of([self.runner.report(error.run)]))
            raise refused from None
        finally:
            caller.charge(meter.usage)

    def _budget(self, ask: Ask, caller: Caller) -> Budget:
        left, seconds = caller.budget() or Budget(), ask.rules.way.seconds
        limits = [limit for limit in (left.seconds, seconds) if limit is not None]
        return left.model_copy(update={"seconds": min(limits, default=None)})

    async def _whole(self, ask: Ask, given: Json, origin: Origin, send: Send) -> None:
        choices = await finished(self.runner.start(ask, origin))
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


def _origin(caller: Caller, account: Account, scope: Scope) -> Origin:
    if caller.upstream_key is None:
        return Origin(account)
    theirs = {
        name.decode("latin-1"): value.decode("latin-1")
        for name, value in scope["headers"]
        if name in (b"openai-organization", b"openai-project")
    }
    return Origin(account, caller.upstream_key, theirs)
