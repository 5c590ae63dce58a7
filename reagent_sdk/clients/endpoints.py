"""The address of an OpenAI-compatible server and the key that is sent to it."""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from reagent_sdk.errors import InvalidInput
from reagent_sdk.secrets import Secret, redact

KEY_VARIABLE = "REAGENT_API_KEY"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where requests go. Prints without keys, and is not picklable when it holds one.

    Attributes:
        url: the base URL without user and password, and without a slash at the end.
        authorization: value of the `Authorization` header, None to send none.
        secrets: texts that must not appear in any message.
    """

    url: str
    authorization: Secret | None = None
    secrets: tuple[Secret, ...] = ()

    @classmethod
    def of(cls, base_url: str, api_key: str | None) -> Endpoint:
        """Reads an address, which may hold `user:password@`, and finds the key: given, or `$REAGENT_API_KEY`.

        Raises:
            InvalidInput: the address or the key cannot be used; the message names the fix and not the key.
        """
        parts = _split(base_url)
        host = parts.hostname or ""
        netloc = (f"[{host}]" if ":" in host else host) + (f":{parts.port}" if parts.port is not None else "")
        url = urlunsplit((parts.scheme.lower(), netloc, parts.path.rstrip("/"), "", ""))
        if parts.username is not None or parts.password is not None:
            if api_key:
                raise InvalidInput("pass either user:password@ in base_url or api_key=, not both")
            return cls(url, *_basic(unquote(parts.username or ""), unquote(parts.password or "")))
        key = (api_key if api_key is not None else os.environ.get(KEY_VARIABLE, "")).strip()
        if not (key.isascii() and key.isprintable()):
            raise InvalidInput("the API key holds characters that cannot be sent; copy it again, without line breaks")
        return cls(url, Secret(f"Bearer {key}"), (Secret(key),)) if key else cls(url)

    @property
    def key_fix(self) -> str:
        """What to do when the server answers 401 or 403."""
        told = "the key was refused" if self.authorization else "the server wants a key"
        return f"{told}; pass api_key= or set {KEY_VARIABLE}"


def _basic(user: str, password: str) -> tuple[Secret, tuple[Secret, ...]]:
    token = base64.b64encode(f"{user}:{password}".encode()).decode()
    return Secret(f"Basic {token}"), tuple(Secret(text) for text in (token, password) if text)


def _split(base_url: str) -> SplitResult:
    example = "pass something like base_url='http://127.0.0.1:8000/v1'"
    if not isinstance(base_url, str) or not base_url.strip():
        raise InvalidInput(f"base_url is empty; {example}")
    shown = redact(base_url.strip())
    if any(letter.isspace() or not letter.isprintable() for letter in base_url.strip()):
        raise InvalidInput(f"base_url {shown!r} holds blanks or control characters; {example}")
    try:
        parts = urlsplit(base_url.strip())
        usable = parts.scheme.lower() in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port out of range, brackets that do not close
        usable = False
    if not usable:
        raise InvalidInput(f"base_url {shown!r} is not an http or https address; {example}")
    if parts.query or parts.fragment:
        raise InvalidInput("base_url has a query or a fragment; leave it out, and pass a key as api_key=")
    if parts.path.rstrip("/").endswith("/chat/completions"):
        raise InvalidInput(f"base_url {shown!r} names one method; leave out /chat/completions")
    return parts
