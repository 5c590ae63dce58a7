"""Who may use the server: keys from the environment or a file, compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from reagent_sdk.errors import InvalidInput
from reagent_sdk.serving.answers import Refused

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

_LONGEST_FILE = 64 * 2**10


class Keys:
    """A set of keys that all open the server, so that one can be replaced while the other still works.

    Only digests are kept: their comparison takes the same time however long a key is and however much of it was
    guessed, and the keys themselves are in no traceback.

    Args:
        keys: at least one, of printable ASCII without blanks.

    Raises:
        InvalidInput: there is none, or one that cannot be sent in a header.
    """

    def __init__(self, keys: Iterable[str]) -> None:
        given = list(keys)
        if not given or any(not key or not key.isascii() or not key.isprintable() or " " in key for key in given):
            raise InvalidInput("an API key must be printable ASCII without blanks, and there must be one")
        self._digests = [hashlib.sha256(key.encode()).digest() for key in given]

    @classmethod
    def from_env(cls, name: str) -> Keys:
        """The key that an environment variable holds.

        Raises:
            InvalidInput: it is not set, or no key.
        """
        key = os.environ.get(name, "").strip()
        if not key:
            raise InvalidInput(
                f"${name} is not set; put the API key there, such as the output of `openssl rand -hex 32`"
            )
        return cls([key])

    @classmethod
    def from_file(cls, path: Path) -> Keys:
        """The keys of a file, one a line; empty lines and lines that begin with # are skipped.

        Raises:
            InvalidInput: it cannot be read, or holds no key.
        """
        try:
            with path.expanduser().open("rb") as opened:
                text = opened.read(_LONGEST_FILE).decode()
        except OSError as error:
            raise InvalidInput(f"cannot read the key file {path}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise InvalidInput(f"the key file {path} is not text") from None
        keys = [line.strip() for line in text.splitlines()]
        keys = [key for key in keys if key and not key.startswith("#")]
        if not keys:
            raise InvalidInput(f"the key file {path} holds no key")
        return cls(keys)

    def open_for(self, authorization: bytes) -> bool:
        """Whether the value of an `Authorization` header holds one of the keys."""
        scheme, _, key = authorization.partition(b" ")
        digest = hashlib.sha256(key.strip()).digest()
        found = False
        for known in self._digests:  # all of them: which one it was must not show in the time it takes
            found |= hmac.compare_digest(known, digest)
        return found and scheme.lower() == b"bearer"


class KeyGate:
    """Lets only those through who have a key. Probes and metrics are outside of it.

    Args:
        app: what answers.
        keys: the keys.
        prefix: paths that need one.
    """

    def __init__(self, app: ASGIApp, *, keys: Keys, prefix: str = "/v1") -> None:
        self._app = app
        self._keys = keys
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        given = dict(scope["headers"]).get(b"authorization", b"")
        if scope["path"].startswith(self._prefix) and not self._keys.open_for(given):
            told = "the API key was refused" if given else "an API key is needed: Authorization: Bearer KEY"
            await Refused(401, told, code="invalid_api_key").send(scope, receive, send)
            return
        await self._app(scope, receive, send)
