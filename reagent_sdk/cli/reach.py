"""Who reaches a server that a command starts: the keys that open it, and the address it listens on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reagent_sdk.serving.keys import Keys

KEY_OPTIONS = "--api-key-env NAME or --api-key-file FILE"


def keys_from(variable: str | None, file: Path | None) -> Keys | None:
    """The keys that `--api-key-env` or `--api-key-file` name; None without either.

    Raises:
        InvalidInput: both are given, or there is no key where they say.
    """
    from reagent_sdk.errors import InvalidInput
    from reagent_sdk.serving.keys import Keys

    if variable and file:
        raise InvalidInput("pass either --api-key-env or --api-key-file, not both")
    if variable:
        return Keys.from_env(variable)
    return Keys.from_file(file) if file else None


def check_reach(host: str, *, closed: bool, no_auth: bool, what: str, fix: str = KEY_OPTIONS) -> None:
    """Refuses to open a server to other machines by mistake.

    Args:
        host: address to listen on.
        closed: whether callers need a key.
        no_auth: whether the user said that they need none.
        what: what everybody could use otherwise.
        fix: the options that ask callers for keys.

    Raises:
        InvalidInput: other machines reach it without a key and nobody said that they may, or both were said.
    """
    from reagent_sdk.errors import InvalidInput
    from reagent_sdk.serving.local_hosts import is_loopback

    if closed and no_auth:
        raise InvalidInput("--no-auth contradicts the key; leave one of them out")
    if not closed and not no_auth and not is_loopback(host):
        raise InvalidInput(
            f"{host} is reached from other machines: pass {fix}, or --no-auth if everybody may use {what}"
        )
