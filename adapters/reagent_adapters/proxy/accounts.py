"""API keys, own and pass-through, with a budget and rates for each: the layer that knows who asks.

`scope["reagent.caller"]` holds the caller for what lies within.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from reagent_adapters.proxy.accounts_book import KeyBook
from reagent_adapters.proxy.accounts_caller import Books, KeyCaller
from reagent_adapters.proxy.accounts_follow import Followed
from reagent_adapters.proxy.accounts_limits import Limits
from reagent_adapters.proxy.accounts_metrics import AccountMetrics
from reagent_adapters.proxy.accounts_rates import Rates
from reagent_adapters.proxy.caller import SCOPE_KEY
from reagent_adapters.proxy.key_file import KEY_PREFIX, OPEN, PASS_THROUGH, UNKNOWN, KeyEntry, new_key, read_keys
from reagent_adapters.proxy.ledger import Ledger
from reagent_adapters.proxy.limits_file import read_limits
from reagent_sdk.secrets import Secret
from reagent_sdk.serving.answers import Refused

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = [
    "AccountMetrics",
    "Accounts",
    "Books",
    "Followed",
    "KeyBook",
    "KeyCaller",
    "KeyEntry",
    "Ledger",
    "Limits",
    "new_key",
    "read_keys",
    "read_limits",
]

_MOST_RATES = 10_000
"""Callers whose rates are remembered. Whoever passes keys through can invent them."""


class Accounts:
    """Finds out who asks, and lets nobody else through. Probes and metrics are outside of it.

    Args:
        app: what answers.
        keys: keys of ours; None for none.
        pass_through: take other keys as the callers' own for the upstream.
        guests: limits of callers who are not in `keys`: rates for each of them, budgets for all of them together; or a
            file that says so, which is followed. Callers without any key cannot be told apart and share the rates too.
        books: ledger, metrics and log.
        prefix: paths that it is about.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        keys: KeyBook | None = None,
        pass_through: bool = False,
        guests: Limits | Followed[Limits] | None = None,
        books: Books | None = None,
        prefix: str = "/v1",
    ) -> None:
        self._app = app
        self._keys = keys
        self._pass_through = pass_through
        self._guests = guests or Limits()
        self._books = books or Books()
        self._prefix = prefix
        self._rates: OrderedDict[str, Rates] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http" or not scope["path"].startswith(self._prefix):
            await self._app(scope, receive, send)
            return
        try:
            caller = self._caller(dict(scope["headers"]).get(b"authorization", b""))
        except Refused as refused:
            await refused.send(scope, receive, send)
            return
        scope[SCOPE_KEY] = caller

        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *await caller.headers()]}
            await send(message)

        try:
            await self._app(scope, receive, tell)
        finally:
            await caller.end()

    def _caller(self, authorization: bytes) -> KeyCaller:
        if self._keys is None and not self._pass_through:
            return self._guest(OPEN, OPEN, None)
        scheme, _, key = authorization.partition(b" ")
        key = key.strip()
        if scheme.lower() != b"bearer" or not key:
            raise self._unknown("an API key is needed: Authorization: Bearer KEY")
        entry = self._keys.find(key) if self._keys else None
        if entry is not None:
            return self._known(entry)
        # A key that we drew is no upstream's, also when it was taken out of the file; it must not be shown to one.
        if not self._pass_through or key.startswith(KEY_PREFIX.encode()):
            raise self._unknown("the API key was refused")
        try:
            own = Secret(key.decode("ascii"))
        except UnicodeDecodeError:
            raise self._unknown("the API key was refused") from None
        return self._guest(PASS_THROUGH, f"{PASS_THROUGH} {hashlib.sha256(key).hexdigest()}", own)

    def _known(self, entry: KeyEntry) -> KeyCaller:
        if entry.expired(datetime.now(UTC)):
            self._books.metrics.refusal(entry.name, "expired")
            raise Refused(401, "the API key has expired", code="invalid_api_key")
        return KeyCaller(entry.name, entry, books=self._books, rates=self._rates_of(entry.name))

    def _guest(self, name: str, who: str, key: Secret | None) -> KeyCaller:
        limits = self._guests.now() if isinstance(self._guests, Followed) else self._guests
        if limits.expired(datetime.now(UTC)):
            self._books.metrics.refusal(name, "expired")
            raise Refused(401, "this server takes no such callers any more", code="invalid_api_key")
        return KeyCaller(name, limits, books=self._books, rates=self._rates_of(who), upstream_key=key)

    def _unknown(self, told: str) -> Refused:
        self._books.metrics.refusal(UNKNOWN, "key")
        return Refused(401, told, code="invalid_api_key")

    def _rates_of(self, who: str) -> Rates:
        rates = self._rates.pop(who, None) or Rates()
        self._rates[who] = rates
        if len(self._rates) > _MOST_RATES:
            self._rates.popitem(last=False)
        return rates
