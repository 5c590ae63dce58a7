"""Fetches URLs that a model or a hostile page made up."""

from __future__ import annotations

import asyncio
import fnmatch
from typing import TYPE_CHECKING

import anyio.to_thread

from reagent_sdk.tools.web.charset import decode, looks_binary
from reagent_sdk.tools.web.errors import (
    AddressRefused,
    ContentRefused,
    FetchTimeout,
    TooManyRedirects,
    Unreachable,
    UrlRefused,
)
from reagent_sdk.tools.web.settings import Fetched, FetchSettings
from reagent_sdk.tools.web.urls import checked_url, shown

if TYPE_CHECKING:
    import aiohttp
    from aiohttp.abc import AbstractResolver
    from yarl import URL

_REDIRECTS = (301, 302, 303, 307, 308)


class Fetcher:
    """Fetches pages and documents by GET, within its settings. Holds nothing open between calls.

    Args:
        settings: what is allowed, and how much of it.
        resolver: asks the DNS in place of the operating system.
    """

    def __init__(self, settings: FetchSettings | None = None, *, resolver: AbstractResolver | None = None) -> None:
        self.settings = settings or FetchSettings()
        self._resolver = resolver

    async def get(self, url: str) -> Fetched:
        """Fetches a URL, following redirects; each hop is checked like the first.

        A status such as 404 is an answer, not an error: see `Fetched.ok`. Its body is not read.

        Raises:
            FetchError: nothing was fetched; see `fetch_errors` for the kinds.
        """
        seconds = self.settings.total_seconds
        try:
            async with asyncio.timeout(seconds) as limit:
                return await self._follow(url)
        except TimeoutError:
            if limit.expired():
                raise FetchTimeout(f"{shown(url)} was not done after {seconds:g} seconds") from None
            raise

    async def _follow(self, text: str) -> Fetched:
        url = checked_url(text, self.settings)
        passed: list[str] = []
        while True:
            answer = await self._hop(url, tuple(passed))
            if isinstance(answer, Fetched):
                return answer
            passed.append(str(url))
            if len(passed) > self.settings.max_redirects:
                raise TooManyRedirects(f"{shown(passed[0])} redirected more than {self.settings.max_redirects} times")
            try:
                url = checked_url(answer, self.settings, base=url)
            except UrlRefused as error:
                raise UrlRefused(f"{shown(passed[-1])} redirects, and {error}") from None

    async def _hop(self, url: URL, passed: tuple[str, ...]) -> Fetched | str:
        """One request: what came of it, or where it redirects to."""
        import aiohttp

        from reagent_sdk.tools.web.connect import Guard, guarded_session

        guard = Guard(url.raw_host or "", self.settings, self._resolver)
        try:
            async with (
                guarded_session(guard, self.settings) as session,
                session.get(url, allow_redirects=False) as reply,
            ):
                guard.expect_body()
                location = reply.headers.get("Location")
                if reply.status in _REDIRECTS and location:
                    return location
                return await self._read(reply, url, passed)
        except AddressRefused as error:
            if passed:
                raise AddressRefused(f"{shown(passed[-1])} redirects to {shown(str(url))}, but {error}") from None
            raise
        except aiohttp.ServerTimeoutError as error:
            what = "connection" if isinstance(error, aiohttp.ConnectionTimeoutError) else "data"
            raise FetchTimeout(f"{shown(str(url))}: no {what} in time") from None
        except aiohttp.InvalidURL:
            raise UrlRefused(f"{shown(str(url))} is not a URL that can be called") from None
        except (aiohttp.ClientError, OSError) as error:
            raise Unreachable(f"{shown(str(url))}: {_told(error)}") from None

    async def _read(self, reply: aiohttp.ClientResponse, url: URL, passed: tuple[str, ...]) -> Fetched:
        from reagent_sdk.tools.web.body import read_body

        notes = _redirect_notes(passed, url)
        fetched = Fetched(url=str(url), status=reply.status, media_type=reply.content_type.lower(), redirects=passed)
        if not fetched.ok:
            return fetched.model_copy(update={"notes": notes})
        stated = fetched.media_type if "Content-Type" in reply.headers else ""
        if stated not in ("", "application/octet-stream") and not self._reads(stated):
            raise ContentRefused(f"{shown(str(url))} is {stated[:80]!r}, which is not read")
        body = await read_body(reply, self.settings.max_bytes)
        media_type = _sniffed(stated, body.data)
        if not self._reads(media_type):
            raise ContentRefused(f"{shown(str(url))} is {media_type[:80]!r}, which is not read")
        text = charset = None
        if is_text(media_type):
            if looks_binary(body.data):
                raise ContentRefused(f"{shown(str(url))} calls itself {media_type}, but its bytes are not text")
            decoded = await anyio.to_thread.run_sync(decode, body.data, reply.charset, abandon_on_cancel=True)
            text, charset = decoded.text, decoded.charset
            notes += (decoded.note,) if decoded.note else ()
        if body.truncated:
            notes += (f"only the first {len(body.data)} bytes were read",)
        read = {"media_type": media_type, "body": body.data, "text": text, "charset": charset}
        return fetched.model_copy(update={**read, "truncated": body.truncated, "notes": notes})

    def _reads(self, media_type: str) -> bool:
        return any(fnmatch.fnmatchcase(media_type, pattern) for pattern in self.settings.media_types)


async def safe_fetch(url: str, settings: FetchSettings | None = None) -> Fetched:
    """Fetches one URL: see `Fetcher.get`.

    Raises:
        FetchError: nothing was fetched.
    """
    return await Fetcher(settings).get(url)


def is_text(media_type: str) -> bool:
    """Whether a content type is read as text, not as a document."""
    return media_type.startswith("text/") or media_type.endswith(("xml", "json"))


def _sniffed(stated: str, body: bytes) -> str:
    """The content type; where the server gives none, or only "bytes", a guess from the bytes."""
    if stated not in ("", "application/octet-stream"):
        return stated
    if body.startswith(b"%PDF-"):
        return "application/pdf"
    if stated or looks_binary(body):
        return "application/octet-stream"
    return "text/html" if b"<" in body[:1024] else "text/plain"


def _redirect_notes(passed: tuple[str, ...], url: URL) -> tuple[str, ...]:
    if not passed:
        return ()
    notes = [f"redirected from {passed[0]}"]
    if url.scheme == "http" and any(hop.startswith("https:") for hop in passed):
        notes.append("redirected from https to plain http: what came may have been altered on the way")
    return tuple(notes)


def _told(error: Exception) -> str:
    """A connection's failure in words."""
    import aiohttp

    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "there is no such host, or the DNS did not answer"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return "the server's certificate is not trusted"
    if isinstance(error, aiohttp.ClientResponseError):
        return f"the reply is not proper HTTP ({shown(error.message)})"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"no connection ({error.os_error.strerror or error.os_error})"
    return f"the connection failed ({shown(str(error) or type(error).__name__)})"
