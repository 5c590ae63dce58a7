"""What is kept about one request: for the access log and the metrics, without a word of its contents."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reagent_sdk.serving.answers import Refused
from reagent_sdk.usage import Usage

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from reagent_sdk.serving.log import EventLog
    from reagent_sdk.serving.metrics import Metrics

GONE = 499
"""Status in log and metrics of a request whose caller left before the answer; nginx's number for it."""

_KEY = "reagent.account"
_ID = re.compile(rb"[A-Za-z0-9_.-]{1,64}")
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


@dataclass
class Account:
    """One request.

    Attributes:
        method: HTTP method, `other` if it is none of the usual ones.
        path: one of the server's own paths, `other` for all that callers invent.
        request_id: the caller's `X-Request-Id` where it is a plain one, else drawn.
        status: what was answered; 0 before.
        usage: tokens that the backend reported, None when it reported none.
        seconds: from the request's head to the end of the answer.
        broken: the answer began and could not be finished.
        told: further fields of the log's line.
    """

    method: str
    path: str
    request_id: str
    begun: float = field(default_factory=time.perf_counter)
    status: int = 0
    usage: Usage | None = None
    seconds: float = 0.0
    broken: bool = False
    told: dict[str, object] = field(default_factory=dict)

    @classmethod
    def of(cls, scope: Scope) -> Account:
        """The account of a request that came through `Accounted`."""
        account: Account = scope[_KEY]
        return account


class Accounted:
    """Outermost layer: opens each request's account, counts it, and writes its line in the log.

    Args:
        app: what answers.
        paths: paths that appear by name.
        metrics: where requests are counted.
        log: where they are written; `quiet` paths are written only when they fail.
        quiet: paths that probes ask for every few seconds.
    """

    def __init__(
        self, app: ASGIApp, *, paths: Collection[str], metrics: Metrics, log: EventLog, quiet: Collection[str] = ()
    ) -> None:
        self._app = app
        self._paths = frozenset(paths)
        self._metrics = metrics
        self._log = log
        self._quiet = frozenset(quiet)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        path = scope["path"] if scope["path"] in self._paths else "other"
        method = scope["method"] if scope["method"] in _METHODS else "other"
        account = scope[_KEY] = Account(method, path, _request_id(scope))

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                account.status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", account.request_id.encode())]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except Exception as error:
            self._log.write("error", id=account.request_id, error=f"{type(error).__name__}: {error}")
            account.broken = True
            if not account.status:
                await Refused(500, "the server failed on this request").send(scope, receive, noted)
        finally:
            self._close(account)

    def _close(self, account: Account) -> None:
        account.seconds = time.perf_counter() - account.begun
        account.status = account.status or GONE
        self._metrics.count(account)
        if account.path in self._quiet and account.status < 400:
            return
        used = account.usage
        self._log.write(
            "request",
            method=account.method,
            path=account.path,
            status=account.status,
            ms=1000 * account.seconds,
            prompt_tokens=used.prompt_tokens if used else None,
            completion_tokens=used.completion_tokens if used else None,
            cached_tokens=used.cached_tokens if used else None,
            broken="yes" if account.broken else None,
            **account.told,
            id=account.request_id,
        )


def _request_id(scope: Scope) -> str:
    given = dict(scope["headers"]).get(b"x-request-id", b"")
    return given.decode() if _ID.fullmatch(given) else secrets.token_hex(8)
