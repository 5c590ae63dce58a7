"""A first look at a GGUF file, so that a wrong file gets a clear message before the engine sees it."""

from __future__ import annotations

import struct
from pathlib import Path

from reagent_sdk.errors import WeightsUnavailable

_MAGIC = b"GGUF"
_HEADER = struct.Struct("<4sI")
_VERSIONS = (2, 3)


def check_gguf(path: Path) -> None:
    """Reads the first bytes of the file; whether all of it is there, only the engine can tell.

    Raises:
        WeightsUnavailable: the file cannot be read or is not a GGUF that the engine understands.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEADER.size)
    except OSError as error:
        raise WeightsUnavailable(f"cannot read {path}: {error.strerror}") from error
    if head[: len(_MAGIC)] != _MAGIC or len(head) < _HEADER.size:
        raise WeightsUnavailable(
            f"{path} is not a GGUF file (it begins with {head[:4]!r}); the embedded engine needs GGUF weights"
        )
    version = _HEADER.unpack(head)[1]
    if version not in _VERSIONS:
        raise WeightsUnavailable(f"{path} is GGUF version {version}; the embedded engine reads {_VERSIONS}")
