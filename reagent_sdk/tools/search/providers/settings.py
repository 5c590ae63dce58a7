"""Checks the settings of providers before anything is sent."""

from __future__ import annotations

from urllib.parse import urlsplit

from reagent_sdk.errors import InvalidInput
from reagent_sdk.secrets import Secret, redact


def checked_address(base_url: str, name: str) -> str:
    """The address of an interface, without the slash at its end.

    Raises:
        InvalidInput: it cannot be one; the message names the provider and hides passwords.
    """
    try:
        parts = urlsplit(base_url.strip())
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port out of range, brackets that do not close
        usable = False
    if not usable or parts.query or parts.fragment:
        raise InvalidInput(f"{name}: {redact(base_url)!r} is not the http or https address of a search interface")
    return base_url.strip().rstrip("/")


def checked_key(key: str, name: str, variable: str) -> Secret:
    """A key that can be sent.

    Raises:
        InvalidInput: it cannot; the message names the variable that it is usually taken from.
    """
    key = key.strip()
    if not key or not (key.isascii() and key.isprintable()):
        raise InvalidInput(f"{name}: the key is empty or cannot be sent; pass it, or set {variable}")
    return Secret(key)
