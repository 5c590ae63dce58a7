"""What callers are told when something goes wrong: in OpenAI's shape, in their words, and nothing about insides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from reagent_sdk import errors
from reagent_sdk.clients.failures import Refusal, stated_error
from reagent_sdk.clients.retry import retry_after
from reagent_sdk.secrets import Secret, excerpt
from reagent_sdk.serving.answers import Refused
from reagent_sdk.serving.refusals import error_body

if TYPE_CHECKING:
    import aiohttp

_LONGEST = 1_000
_RETRY = 2.0


async def refused_by(reply: aiohttp.ClientResponse, secrets: Sequence[Secret], *, own_key: bool) -> tuple[Refused, str]:
    """The refusal for a reply of the upstream with a status other than 200, and what it said, fit for the log.

    What concerns the request is passed on with its code and message. What the upstream says about itself is not.

    Args:
        reply: the upstream's reply.
        secrets: keys to mask.
        own_key: whether the caller's own key was sent, so that its refusal is the caller's affair.
    """
    body = await error_body(reply)
    refused = _refused(reply.status, body, secrets, wait=retry_after(reply.headers), own_key=own_key)
    return refused, excerpt(Refusal.read(reply.status, body).message, *secrets)


def refused_in_stream(error: Mapping[str, Any], secrets: Sequence[Secret]) -> Refused:
    """The refusal for an error that the upstream states in the middle of a stream."""
    code = str(error.get("code") or "")
    status = int(code) if code.isdigit() and 400 <= int(code) < 600 else 502
    return _refused(status, {"error": dict(error)}, secrets, wait=None, own_key=False)


def _refused(status: int, body: object, secrets: Sequence[Secret], *, wait: float | None, own_key: bool) -> Refused:
    said = Refusal.read(status, body)
    stated = stated_error(body) or {}
    message = excerpt(said.message, *secrets, limit=_LONGEST)
    if status in (401, 403) and not own_key:
        return Refused(502, "the upstream refused this server's own key")
    if status == 429:
        told = message if own_key and message else "the upstream is at its limit; try again"
        return Refused(429, told, retry_after=wait if wait is not None else 1, code=said.code or None)
    if 400 <= status < 500:
        param = stated.get("param")
        return Refused(
            status,
            message or "the upstream does not take this request",
            kind=said.type,
            code="context_length_exceeded" if said.overflows else said.code or None,
            param=param if isinstance(param, str) else None,
        )
    if status == 503:
        return Refused(503, "the upstream cannot answer now; try again", retry_after=wait or _RETRY)
    return Refused(502, f"the upstream failed with status {status}")


def unreachable() -> Refused:
    """No connection to the upstream."""
    return Refused(503, "the upstream cannot be reached; try again", retry_after=_RETRY)


def broke_off() -> Refused:
    """The upstream's reply ended before its end."""
    return Refused(502, "the upstream broke off its reply")


def no_completion() -> Refused:
    """The upstream answered with something else."""
    return Refused(502, "the upstream's reply is not a chat completion")


def refusal_for(error: Exception, *, own_key: Secret | None = None) -> Refused | None:
    """The refusal for what a run raised; None for what must not happen.

    Args:
        error: what was raised.
        own_key: the caller's own key, if that was sent: its refusal is the caller's affair.
    """
    if isinstance(error, Refused):
        return error
    if isinstance(error, errors.BudgetExceeded):
        if error.limit == "seconds":
            return Refused(504, "the time for this request was up before there was an answer")
        return Refused(429, f"the budget of {error.limit} is used up", code="insufficient_quota")
    if isinstance(error, errors.LowScore):
        return Refused(422, error.run.why, code="low_score")
    if isinstance(error, errors.JudgeFailed):
        return Refused(503, "the judge gave no verdict, and the policy asks for one", code="judge_failed")
    if isinstance(error, errors.ModelError):
        return _of_model(error, own_key)
    if isinstance(error, errors.InvalidInput):
        return Refused(400, excerpt(str(error), limit=_LONGEST))
    if isinstance(error, errors.ReagentError):
        return Refused(502, "the upstream cannot be used; the server's log says why")
    return None


def _of_model(error: errors.ModelError, own_key: Secret | None) -> Refused:
    """What a client of ours says of its model, without the address that its messages begin with."""
    secrets = () if own_key is None else (own_key,)
    message = excerpt(str(error).removeprefix(f"{error.model}: "), *secrets, limit=_LONGEST)
    if isinstance(error, errors.ContextOverflow):
        return Refused(400, message, code="context_length_exceeded")
    if isinstance(error, errors.ModelUnavailable):
        if error.status == 429:
            return Refused(429, "the upstream is at its limit; try again", retry_after=error.retry_after or 1)
        return Refused(503, "the upstream cannot answer now; try again", retry_after=error.retry_after or _RETRY)
    if isinstance(error, errors.ModelRejected) and error.status not in (401, 403):
        status = error.status if error.status is not None and 400 <= error.status < 500 else 400
        return Refused(status, message)
    if error.status in (401, 403):
        if own_key is not None:  # the client's message is advice for whoever runs the server
            code = "invalid_api_key" if error.status == 401 else None
            return Refused(error.status, "the upstream refused your key", code=code)
        return Refused(502, "the upstream refused this server's own key")
    return no_completion()
