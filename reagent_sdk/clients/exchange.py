"""One HTTP request and its JSON reply, with every way it can fail turned into our own errors."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reagent_sdk.clients.endpoints import Endpoint
from reagent_sdk.clients.failures import Refusal, failure, stated_error
from reagent_sdk.clients.replies import json_object
from reagent_sdk.clients.retry import retry_after
from reagent_sdk.errors import BadReply, InvalidInput, ModelError, ModelRejected, ModelUnavailable
from reagent_sdk.secrets import excerpt

if TYPE_CHECKING:
    import aiohttp

_ERROR_BYTES = 64 * 2**10
"""How much of an error page is read."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """Talks to one endpoint.

    Attributes:
        endpoint: where to.
        model: name of the client, for errors.
        max_bytes: longest reply that is read.
    """

    endpoint: Endpoint
    model: str
    max_bytes: int

    async def post(self, session: aiohttp.ClientSession, path: str, payload: bytes) -> dict[str, Any]:
        """Posts JSON and returns the JSON object of the reply.

        Raises:
            ModelError: any failure; see `errors`.
        """
        return await self._send(session, "POST", path, payload)

    async def get(self, session: aiohttp.ClientSession, path: str) -> dict[str, Any]:
        """Gets a JSON object.

        Raises:
            ModelError: any failure; see `errors`.
        """
        return await self._send(session, "GET", path, None)

    async def _send(
        self, session: aiohttp.ClientSession, method: str, path: str, payload: bytes | None
    ) -> dict[str, Any]:
        import aiohttp

        headers = {"Accept": "application/json"}
        if payload is not None:
            headers["Content-Type"] = "application/json"
        if self.endpoint.authorization is not None:
            headers["Authorization"] = self.endpoint.authorization.reveal()
        url = self.endpoint.url + path
        try:
            async with session.request(method, url, data=payload, headers=headers, allow_redirects=False) as reply:
                return await self._read(reply)
        except aiohttp.ClientConnectorCertificateError as error:
            raise ModelRejected(
                f"{self.model}: the server's certificate is not trusted ({self._quote(str(error))})", model=self.model
            ) from None
        except aiohttp.ClientResponseError as error:
            # Not chained: this one carries the request's headers, and with them the key.
            raise self._bad(f"the reply is not HTTP ({self._quote(error.message)})") from None
        except aiohttp.InvalidURL:
            raise InvalidInput(f"{self.endpoint.url!r} is no address that can be called; check base_url") from None
        except TimeoutError as error:
            slow = "connection" if isinstance(error, aiohttp.ConnectionTimeoutError) else "reply"
            raise ModelUnavailable(f"{self.model}: no {slow} in time", model=self.model) from None
        except (aiohttp.ClientError, OSError) as error:
            told = self._quote(str(error)) or type(error).__name__
            raise ModelUnavailable(f"{self.model}: the connection failed ({told})", model=self.model) from error

    async def _read(self, reply: aiohttp.ClientResponse) -> dict[str, Any]:
        if reply.status != 200:
            page = (await self._take(reply, _ERROR_BYTES)).decode("utf-8", "replace")
            raise self._refused(reply, reply.status, _json_or_text(page))
        body = await self._take(reply, self.max_bytes + 1)
        if len(body) > self.max_bytes:
            raise self._bad(f"the reply is longer than {self.max_bytes} bytes")
        kind = reply.content_type
        if body.strip() and not (kind.endswith("/json") or kind.endswith("+json")):
            raise self._bad(f"the reply is {kind}, not JSON", body)
        try:
            parsed = json_object(body)
        except BadReply as error:
            raise self._bad(str(error), body) from None
        stated = stated_error(parsed)
        if stated is not None and "choices" not in parsed:
            code = str(stated.get("code") or "")
            if not (code.isascii() and code.isdigit() and 300 <= int(code) < 600):
                raise self._error_in_200(reply, parsed)
            raise self._refused(reply, int(code), parsed)
        return parsed

    def _error_in_200(self, reply: aiohttp.ClientResponse, parsed: dict[str, Any]) -> ModelError:
        refusal = Refusal.read(200, parsed)
        if refusal.overflows:
            return self._refused(reply, 400, parsed)
        return self._bad("the reply states an error", refusal.message.encode())

    async def _take(self, reply: aiohttp.ClientResponse, limit: int) -> bytes:
        """Reads at most `limit` bytes, and drops the connection when there are more."""
        # Joined once, at the end: buffers that grow side by side, one for each call under way, leave gaps between
        # them that the allocator never gives back.
        taken, left = [], limit
        async for chunk in reply.content.iter_chunked(64 * 2**10):
            taken.append(chunk[:left])
            left -= len(taken[-1])
            if not left:
                reply.close()
                break
        return b"".join(taken)

    def _refused(self, reply: aiohttp.ClientResponse, status: int, body: object) -> ModelError:
        refusal = Refusal.read(status, body, retry_after=retry_after(reply.headers))
        said = self._quote(refusal.message)
        return failure(refusal, said, model=self.model, key_fix=self.endpoint.key_fix)

    def _bad(self, wrong: str, body: bytes = b"") -> BadReply:
        quoted = self._quote(body.decode("utf-8", "replace"))
        return BadReply(f"{self.model}: {wrong}" + (f": {quoted}" if quoted else ""), model=self.model, status=200)

    def _quote(self, text: str) -> str:
        return excerpt(text, *self.endpoint.secrets)


def _json_or_text(body: str) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return body
