"""Reads litellm's exceptions, whose classes and statuses do not tell what happened.

A refused connection, a missing key and a reply that is not JSON all arrive as an InternalServerError of status 500.
What tells them apart: whether the server answered at all (its headers are kept then), and the chain of causes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from json import JSONDecodeError
from typing import Any

from reagent_sdk.clients.failures import Refusal, failure
from reagent_sdk.clients.retry import retry_after
from reagent_sdk.errors import BadReply, ModelError, ModelRejected, ModelUnavailable
from reagent_sdk.secrets import Secret, excerpt

_NO_KEY = re.compile(
    r"missing [\w ]*(?:api[ _-]?key|credentials)|no (?:api[ _-]?)?key is set|"
    r"api[ _-]?key[^.]*(?:not set|required|missing)",
    re.IGNORECASE,
)
_VARIABLE = re.compile(r"\b[A-Z][A-Z0-9]*_(?:API_)?(?:KEY|TOKEN)\b")
_PREFIX = re.compile(r"^(?:litellm\.\w+: |\w+(?:Error|Exception|Timeout)(?: -|:) )+")
_NOT_JSON = "Empty or invalid response from LLM endpoint"
_NETWORK_MODULES = ("httpx", "httpcore", "aiohttp")


def model_error(
    error: Exception,
    *,
    model: str,
    secrets: Sequence[Secret],
    missing: Callable[[], Sequence[str]],
    keyless: bool,
) -> ModelError:
    """The error of ours that says what a litellm exception means.

    Args:
        error: what `litellm.acompletion` raised.
        model: name of the client.
        secrets: keys to mask.
        missing: finds the environment variables that could hold the key.
        keyless: whether the client was given no key.
    """
    raw = _PREFIX.sub("", str(error).split("\nTraceback", 1)[0])
    said = excerpt(raw, *secrets)
    causes = list(_chain(error))
    headers = _headers(error)
    status = getattr(error, "status_code", None)
    status = status if isinstance(status, int) and 100 <= status < 600 else 0
    if any(isinstance(cause, ImportError) for cause in causes):
        return ModelRejected(f"{model}: litellm needs a package for this provider: {said}", model=model)
    if status == 200 or (headers is None and _unreadable(causes, raw)):
        return BadReply(f"{model}: the reply is not a chat completion: {said}", model=model, status=200)
    if headers is None and any(map(_is_network, causes)):
        return ModelUnavailable(f"{model}: the connection failed ({said})", model=model)
    if headers is None and _NO_KEY.search(raw):
        return ModelRejected(f"{model}: there is no key; {_key_fix(raw, missing)}: {said}", model=model, status=401)
    if status == 0 or (headers is None and type(error).__name__ == "APIConnectionError"):
        # Its name for whatever went wrong on our side of the wire: sending it again would go wrong again.
        return ModelRejected(f"{model}: litellm could not make the call: {said}", model=model)
    refusal = Refusal.read(status, _stated(error, raw), retry_after=retry_after(headers or {}))
    told = "the server wants a key" if keyless else "the key was refused"
    fix = f"{told}; {_key_fix(raw, missing)}" if status in {401, 403} else ""
    return failure(refusal, excerpt(refusal.message or raw, *secrets), model=model, key_fix=fix)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _headers(error: Exception) -> Mapping[str, Any] | None:
    """The headers of the server's answer, by lower-case names; None when there was no answer."""
    found = getattr(error, "litellm_response_headers", None)
    if found is None:
        return None
    return {str(name).lower(): value for name, value in dict(found).items()}


def _unreadable(causes: Sequence[BaseException], raw: str) -> bool:
    return _NOT_JSON in raw or any(isinstance(cause, JSONDecodeError) for cause in causes)


def _is_network(cause: BaseException) -> bool:
    return isinstance(cause, OSError | TimeoutError) or type(cause).__module__.split(".")[0] in _NETWORK_MODULES


def _key_fix(raw: str, missing: Callable[[], Sequence[str]]) -> str:
    names = list(missing()) or sorted(set(_VARIABLE.findall(raw)))
    return f"pass api_key= or set {' or '.join(names)}" if names else "pass api_key="


def _stated(error: Exception, raw: str) -> object:
    """The server's error: what the exception carries of it, else the JSON inside its text, else the text."""
    body = getattr(error, "body", None)
    if isinstance(body, Mapping):
        return {"error": body}
    start = raw.find("{")
    try:
        return json.loads(raw[start:]) if start >= 0 else raw
    except (ValueError, RecursionError):
        return raw
