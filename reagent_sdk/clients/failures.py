"""What a server's refusal means: wait and send again, mend the request, or shorten the prompt."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reagent_sdk.errors import ContextOverflow, ModelError, ModelRejected, ModelUnavailable

_WORTH_ANOTHER_TRY = {408, 409, 425, 429}
_OVERFLOW_CODES = {"context_length_exceeded", "exceed_context_size_error"}
_OUT_OF_CREDIT = {"insufficient_quota", "billing_hard_limit_reached"}

_OVERFLOW_WORDS = re.compile(
    r"maximum context length|context[ _](?:length|window|size)[ _](?:was |is )?exceed|"
    r"exceeds? the (?:available |model'?s? )?(?:maximum )?context|prompt is too long|input is too long|"
    r"reduce the length of the (?:messages|prompt|input)",
    re.IGNORECASE,
)

_FIXES = {
    402: "the account has no credit",
    404: "check model=, and that base_url is the part before /chat/completions, usually ending in /v1",
    405: "check that base_url is the part before /chat/completions, usually ending in /v1",
    413: "the request is larger than the server takes",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a server said in place of a completion."""

    status: int
    message: str = ""
    code: str = ""
    type: str = ""
    retry_after: float | None = None

    @classmethod
    def read(cls, status: int, body: object, *, retry_after: float | None = None) -> Refusal:
        """Reads the error formats of OpenAI, vLLM, llama.cpp and plain web servers; anything else is quoted."""
        error = stated_error(body)
        if error is None:
            return cls(status, message=body if isinstance(body, str) else "", retry_after=retry_after)
        message = error.get("message") or error.get("detail") or ""
        return cls(
            status,
            message=message if isinstance(message, str) else str(message),
            code=str(error.get("code") or ""),
            type=str(error.get("type") or ""),
            retry_after=retry_after,
        )

    @property
    def overflows(self) -> bool:
        """Whether the prompt does not fit the model's window."""
        if {self.code, self.type} & _OVERFLOW_CODES:
            return True
        return self.status in {400, 413, 422} and _OVERFLOW_WORDS.search(self.message) is not None

    @property
    def passing(self) -> bool:
        """Whether the same request may succeed later."""
        if {self.code, self.type} & _OUT_OF_CREDIT:
            return False
        return self.status in _WORTH_ANOTHER_TRY or (self.status >= 500 and self.status != 501)


def stated_error(body: object) -> Mapping[str, Any] | None:
    """The error that a reply's body states, or None."""
    if not isinstance(body, Mapping):
        return None
    error = body.get("error")
    if isinstance(error, str) and error:
        return {**body, "message": error}
    if isinstance(error, Mapping) and error:
        return error
    return body if body.get("object") == "error" or "detail" in body else None


def failure(refusal: Refusal, said: str, *, model: str, key_fix: str) -> ModelError:
    """The error for a refusal.

    Args:
        refusal: what the server answered.
        said: its message, fit to be shown: short and without keys.
        model: name of the client.
        key_fix: what to do about a key that is missing or was refused.
    """
    status, told = refusal.status, f": {said}" if said else ""
    where = f"{model}: " if model else ""
    if refusal.overflows:
        text = f"{where}{status}: the prompt does not fit the model's context window{told}"
        return ContextOverflow(text, model=model, status=status)
    if refusal.passing:
        text = f"{where}{status}: the server cannot answer now{told}"
        return ModelUnavailable(text, model=model, status=status, retry_after=refusal.retry_after)
    return ModelRejected(f"{where}{status}: {_fix(refusal, key_fix)}{told}", model=model, status=status)


def _fix(refusal: Refusal, key_fix: str) -> str:
    if refusal.status in {401, 403}:
        return key_fix
    if {refusal.code, refusal.type} & _OUT_OF_CREDIT:
        return _FIXES[402]
    if 300 <= refusal.status < 400:
        return "the server points elsewhere, and a key is not sent on; pass the address it names as base_url"
    return _FIXES.get(refusal.status, "the server does not take this request; check the sampling fields and messages")
