"""The key file: who may use the proxy, and how much of it.

Keys themselves are forgotten right after they were read; what is kept are SHA-256 digests. No error shows a key.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, Field, ValidationError

from reagent_adapters.proxy.accounts_limits import Limits
from reagent_adapters.proxy.limits_file import problems, read_table, require_known
from reagent_sdk.errors import InvalidInput
from reagent_sdk.secrets import redact

KEY_PREFIX = "rk-"
"""Begins the keys that we draw: logs mask them, and pass-through never sends them to an upstream."""

OPEN, PASS_THROUGH, UNKNOWN = "open", "pass-through", "unknown"
"""Names of callers who are in no key file."""

_SHORTEST_KEY = 16
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,47}")
_DIGEST = re.compile(r"[0-9a-fA-F]{64}")
_LIKE_A_KEY = re.compile(r"[0-9a-fA-F]{24,}")


class KeyEntry(Limits):
    """One entry: a name for logs and metrics, the keys that stand for it, and its limits."""

    model_config = ConfigDict(hide_input_in_errors=True)

    name: str
    digests: tuple[bytes, ...] = Field(min_length=1, repr=False, description="SHA-256 of each key")


def new_key() -> tuple[str, str]:
    """Draws a key: the key for its owner, and its SHA-256 for the key file."""
    key = KEY_PREFIX + secrets.token_hex(32)
    return key, hashlib.sha256(key.encode()).hexdigest()


def read_keys(path: Path) -> tuple[KeyEntry, ...]:
    """Reads a key file: JSON when its name ends in .json, else TOML.

    Raises:
        InvalidInput: it cannot be read, or an entry is wrong; the message names the entry and the fix.
    """
    what = f"the key file {path}"
    parsed = read_table(path, what)
    try:
        return _entries(parsed)
    except InvalidInput as error:
        raise InvalidInput(f"{what}: {error}") from None


def _entries(parsed: object) -> tuple[KeyEntry, ...]:
    rows = parsed.get("keys") if isinstance(parsed, dict) and set(parsed) == {"keys"} else None
    if not isinstance(rows, list) or not rows:
        raise InvalidInput('it must hold entries [[keys]] and nothing else; in JSON {"keys": [{...}]}')
    entries = tuple(_entry(row, number) for number, row in enumerate(rows, start=1))
    owners: dict[bytes, str] = {}
    names: set[str] = set()
    for entry in entries:
        if entry.name in names:
            raise InvalidInput(f"two entries are named '{entry.name}'; give one entry both keys: sha256 = [..., ...]")
        names.add(entry.name)
        for digest in entry.digests:
            if digest in owners:
                raise InvalidInput(f"'{owners[digest]}' and '{entry.name}' have the same key; each needs its own")
            owners[digest] = entry.name
    return entries


def _entry(row: object, number: int) -> KeyEntry:
    if not isinstance(row, dict):
        raise InvalidInput(f"entry {number} is not a table")
    name = row.get("name")
    where = f"entry '{name}'" if _is_name(name) else f"entry {number}"
    if not _is_name(name):
        raise InvalidInput(
            f"{where} needs a name of letters, digits and ._@-, at most 48 of them, that does not look like a key"
        )
    if name in (OPEN, PASS_THROUGH, UNKNOWN):
        raise InvalidInput(f"{where}: this name stands for callers who are in no key file; take another one")
    digests = tuple(_digests(row, where))
    rest = {field: value for field, value in row.items() if field not in ("key", "sha256")}
    try:
        require_known(row, ("name", "key", "sha256", *Limits.model_fields))
        return KeyEntry(**rest, digests=digests)
    except ValidationError as error:
        raise InvalidInput(f"{where}: {problems(error)}") from None
    except InvalidInput as error:
        raise InvalidInput(f"{where}: {error}") from None


def _is_name(name: object) -> bool:
    """Names are shown everywhere, so that nothing that may be a key is taken for one."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        return False
    return redact(name) == name and not _LIKE_A_KEY.search(name)


def _digests(row: dict[str, Any], where: str) -> Iterable[bytes]:
    if ("key" in row) == ("sha256" in row):
        raise InvalidInput(f"{where} needs either sha256 or key")
    if "sha256" in row:
        given = row["sha256"] if isinstance(row["sha256"], list) else [row["sha256"]]
        if not given or not all(isinstance(digest, str) and _DIGEST.fullmatch(digest) for digest in given):
            raise InvalidInput(f'{where}: sha256 must be 64 hex digits, from printf %s "$KEY" | sha256sum')
        return [bytes.fromhex(digest) for digest in given]
    key = row["key"]
    if not isinstance(key, str) or not key.isascii() or not key.isprintable() or " " in key:
        raise InvalidInput(f"{where}: the key must be printable ASCII without blanks")
    if len(key) < _SHORTEST_KEY:
        raise InvalidInput(
            f"{where}: a key of fewer than {_SHORTEST_KEY} characters can be guessed: openssl rand -hex 32"
        )
    return [hashlib.sha256(key.encode()).digest()]
