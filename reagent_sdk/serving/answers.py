"""What the front itself says no with: errors in OpenAI's shape, which clients know how to read."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

_KINDS = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    502: "backend_error",
    503: "unavailable_error",
    504: "timeout_error",
}


class Refused(Exception):
    """A request that is not served.

    Args:
        status: HTTP status.
        message: one sentence for the caller, without internals.
        retry_after: seconds after which another try makes sense.
        close: whether the connection ends with the answer.
        kind: error type; by default the usual one for the status.
        code: machine-readable code, such as `context_length_exceeded`.
        param: the request's field that is at fault.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        retry_after: float | None = None,
        close: bool = False,
        kind: str = "",
        code: str | None = None,
        param: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.kind = kind or _KINDS.get(status, "invalid_request_error" if status < 500 else "server_error")
        self.code = code
        self.param = param
        self.headers = {} if retry_after is None else {"Retry-After": str(math.ceil(retry_after))}
        if close:
            self.headers["Connection"] = "close"
        if status == 401:
            self.headers["WWW-Authenticate"] = "Bearer"

    def body(self) -> dict[str, Any]:
        """The error object."""
        return {"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}}

    async def send(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers the request with this refusal."""
        await JSONResponse(self.body(), status_code=self.status, headers=self.headers)(scope, receive, send)
