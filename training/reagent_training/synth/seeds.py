"""Random numbers that depend on what they are for and on nothing else.

Each task has a generator of its own, so that a run that goes on after it was killed makes the same tasks.
"""

from __future__ import annotations

import hashlib
from random import Random


def random_for(*what: object) -> Random:
    """A generator for one purpose, the same on every machine and in every process."""
    key = "\x1f".join(str(part) for part in what)
    return Random(int.from_bytes(hashlib.sha256(key.encode()).digest()[:16]))
