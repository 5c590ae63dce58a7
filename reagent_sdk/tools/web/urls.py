"""Checks URLs before anything is resolved or connected."""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING

from reagent_sdk.tools.web.errors import UrlRefused

if TYPE_CHECKING:
    from yarl import URL

    from reagent_sdk.tools.web.addresses import Address
    from reagent_sdk.tools.web.settings import FetchSettings

_MAX_URL = 8_000
_NAME = re.compile(
    r"(?!.{254})(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.?"
)
_NUMBER = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)\.?\Z")


def checked_url(text: str, settings: FetchSettings, *, base: URL | None = None) -> URL:
    """The URL as it will be called, without its fragment.

    It is read by the same parser as the HTTP client's: two parsers that disagree about the host are a way round any
    check.

    Args:
        text: the URL, or with a base a reference such as a Location header's.
        settings: which ports are allowed.
        base: what a relative reference is relative to.

    Raises:
        UrlRefused: it is not a URL that is fetched.
    """
    from yarl import URL

    if len(text) > _MAX_URL:
        raise UrlRefused(f"the URL has {len(text)} characters, more than {_MAX_URL}")
    try:
        url = URL(text.strip())
        url = (base.join(url) if base is not None else url).with_fragment(None)
        scheme, host, port = url.scheme, url.raw_host, url.port
        has_user = url.raw_user is not None or url.raw_password is not None
    except (ValueError, TypeError, UnicodeError) as error:
        raise UrlRefused(f"{shown(text)} is not a URL: {error}") from None
    if scheme not in ("http", "https"):
        raise UrlRefused(
            f"{shown(text)}: only http and https URLs are fetched, not {scheme or 'one without a scheme'!r}"
        )
    if not host:
        raise UrlRefused(f"{shown(text)} names no host")
    if has_user or "@" in url.raw_authority:
        raise UrlRefused("the URL carries a user name or password; only URLs without are fetched")
    if settings.ports is not None and port not in settings.ports:
        raise UrlRefused(f"{shown(text)}: port {port} is not one of {', '.join(map(str, settings.ports))}")
    if port == 0:
        raise UrlRefused(f"{shown(text)}: there is no port 0")
    literal_address(host)
    return url


def literal_address(host: str) -> Address | None:
    """The address that a URL's host spells out; None when it is a name.

    Raises:
        UrlRefused: an address in an odd spelling (`2130706433`, `0x7f.1`, `127.1`, `0177.0.0.1`, `127.0.0.1.`), or
            neither an address nor a name.
    """
    if ":" in host:
        try:
            return IPv6Address(host.replace("%25", "%"))
        except AddressValueError:
            raise UrlRefused(f"{shown(host)} is not an IPv6 address") from None
    # Operating systems read any name that ends in a number as an address; the URL standard says the same.
    if _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]):
        try:
            return IPv4Address(host)
        except AddressValueError:
            raise UrlRefused(
                f"{shown(host)} is an odd spelling of an address; write it as four plain numbers"
            ) from None
    if not _NAME.fullmatch(host):
        raise UrlRefused(f"{shown(host)} is not a host name")
    return None


def host_of(entry: str) -> str:
    """An entry of `allow_hosts` as hosts are compared."""
    try:
        return str(ip_address(entry.strip("[]")))
    except ValueError:
        return entry.strip().rstrip(".").lower()


def shown(text: str) -> str:
    """Hostile text, short and printable."""
    cut = text if len(text) <= 200 else text[:200] + "..."
    return repr(cut)
