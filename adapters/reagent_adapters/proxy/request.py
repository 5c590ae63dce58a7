"""What all requests to the upstream have in common: a body, a caller with limits, and an end that is told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reagent_adapters.proxy.caller import Caller, caller_of
from reagent_adapters.proxy.refusals import refusal_for
from reagent_adapters.proxy.upstream import BrokenOff, Json, Origin
from reagent_sdk.budget import Budget, Meter
from reagent_sdk.clients.replies import json_object
from reagent_sdk.errors import BadReply
from reagent_sdk.serving.account import Account
from reagent_sdk.serving.answers import Refused
from reagent_sdk.serving.bodies import Disconnected, read_json_body, unless_gone

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

_THEIRS = (b"openai-organization", b"openai-project")
"""Headers that belong to a caller's own key."""


async def answered(
    scope: Scope, receive: Receive, send: Send, limit: int, work: Callable[[Json, Send], Coroutine[Any, Any, None]]
) -> None:
    """Reads a request's JSON and has it answered, for as long as the caller stays.

    Args:
        scope: the request.
        receive: where its body comes from.
        send: where the answer goes.
        limit: bytes of the body.
        work: answers; refusals that it raises are sent, unless the answer has begun.
    """
    account, begun = Account.of(scope), False

    async def noted(message: Message) -> None:
        nonlocal begun
        begun = True
        await send(message)

    try:
        given = read_json(await read_json_body(scope, receive, limit=limit))
        await unless_gone(work(given, noted), receive)
    except Disconnected:
        return
    except Refused as refused:
        if begun:
            account.broken = True
        else:
            await refused.send(scope, receive, send)
    except BrokenOff:
        account.broken = True  # an answer without an end: the server cuts the connection


def read_json(raw: bytes) -> Json:
    """The request's JSON object.

    Raises:
        Refused: 400, when it is none.
    """
    try:
        return json_object(raw)
    except BadReply as error:
        raise Refused(400, str(error).replace("the reply", "the request"), code="invalid_json") from None


@dataclass(frozen=True)
class Admission:
    """A request that was let in.

    Attributes:
        origin: whose it is, for the upstream.
        meter: counts what it uses, within what the caller has left.
        counted: whether the caller has a budget that depends on the count.
    """

    origin: Origin
    meter: Meter
    counted: bool


@asynccontextmanager
async def admitted(scope: Scope, model: str, seconds: float | None, calls: int = 1) -> AsyncIterator[Admission]:
    """Lets a request in, and charges the caller for what it used, however it ends.

    Args:
        scope: the request.
        model: the model that it asks for.
        seconds: longest time for it.
        calls: model calls that it may need, the judge's as well.

    Raises:
        Refused: the caller may not, or what the request's run raised, in words for the caller.
    """
    caller, account = caller_of(scope), Account.of(scope)
    account.told["caller"] = caller.name
    caller.require_model(model)
    await caller.admit(calls)
    left = caller.budget()
    meter = Meter(_within(left or Budget(), seconds))
    try:
        yield Admission(_origin(caller, account, scope), meter, left is not None)
    except TimeoutError:
        raise Refused(504, "the time for this request was up before there was an answer") from None
    except Exception as error:
        refused = refusal_for(error)
        if refused is None:
            raise
        raise refused from None
    finally:
        caller.charge(meter.usage)


def _within(left: Budget, seconds: float | None) -> Budget:
    limits = [limit for limit in (left.seconds, seconds) if limit is not None]
    return left.model_copy(update={"seconds": min(limits, default=None)})


def _origin(caller: Caller, account: Account, scope: Scope) -> Origin:
    if caller.upstream_key is None:
        return Origin(account)
    theirs = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"] if name in _THEIRS}
    return Origin(account, caller.upstream_key, theirs)
