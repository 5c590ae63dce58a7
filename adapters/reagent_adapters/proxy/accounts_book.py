"""The keys that are in force: found in constant time, and read anew when their file changes."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from reagent_adapters.proxy.accounts_follow import Followed
from reagent_adapters.proxy.key_file import KeyEntry, read_keys
from reagent_sdk.errors import InvalidInput
from reagent_sdk.serving.log import EventLog


class KeyBook:
    """Finds the entry that a key belongs to.

    Args:
        entries: what is in force, at least one; or a file of entries, which is followed.

    Raises:
        InvalidInput: there are no entries.
    """

    def __init__(self, entries: Sequence[KeyEntry] | Followed[tuple[KeyEntry, ...]]) -> None:
        self._file = entries if isinstance(entries, Followed) else None
        self._entries = () if isinstance(entries, Followed) else tuple(entries)
        if not self.entries:
            raise InvalidInput("a key book needs at least one entry")

    @classmethod
    def from_file(
        cls, path: Path, *, log: EventLog | None = None, clock: Callable[[], float] = time.monotonic
    ) -> KeyBook:
        """The keys of a file, which is followed from then on, see :class:`Followed`.

        Raises:
            InvalidInput: it cannot be read, or an entry is wrong.
        """
        return cls(Followed(path, read_keys, "keys", log=log, clock=clock))

    @property
    def entries(self) -> tuple[KeyEntry, ...]:
        """What is in force."""
        return self._file.held if self._file else self._entries

    def find(self, key: bytes) -> KeyEntry | None:
        """The entry of a key, also when it has expired; None when there is none."""
        digest = hashlib.sha256(key).digest()
        found = None
        # All of them: which one it was must not show in the time it takes.
        for entry in self._file.now() if self._file else self._entries:
            for known in entry.digests:
                if hmac.compare_digest(known, digest):
                    found = entry
        return found
