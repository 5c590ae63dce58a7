"""The metadata of a GGUF and where its tensors lie. Reads 100,000 tokens in a fraction of a second."""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from reagent_sdk.errors import WeightsUnavailable
from reagent_sdk.models.gguf import check_gguf

_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_HEADER, _ALIGNMENT, _LARGEST_RANK = 8, 32, 4  # magic and version were checked; bytes; axes


class Value(NamedTuple):
    """One piece of metadata.

    Attributes:
        content: as Python says it; a list for arrays.
        kind: GGUF's number of its type.
        of: of its elements' type; None for what is no array.
    """

    content: Any
    kind: int
    of: int | None = None


class Located(NamedTuple):
    """One tensor.

    Attributes:
        shape: rows first.
        kind: ggml's number of its type.
        offset: of its first byte in the file.
    """

    shape: tuple[int, ...]
    kind: int
    offset: int


@dataclass(frozen=True)
class Contents:
    """What a GGUF says about itself."""

    values: Mapping[str, Value]
    tensors: Mapping[str, Located]


def read_gguf(path: Path) -> Contents:
    """Reads all but the numbers.

    Raises:
        WeightsUnavailable: the file cannot be read, is not a GGUF, or its metadata are damaged or cut off.
    """
    check_gguf(path)
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _Cursor(data, _HEADER).contents()
    except (ValueError, KeyError, struct.error) as error:
        raise WeightsUnavailable(f"{path} is damaged or incomplete: {error}") from None
    except OSError as error:
        raise WeightsUnavailable(f"cannot read {path}: {error.strerror}") from error


class _Cursor:
    """A place in the file that moves on as it is read."""

    def __init__(self, data: mmap.mmap, at: int) -> None:
        self._data, self._at = data, at

    def contents(self) -> Contents:
        tensors, values = self._take("QQ")
        told = {self._string(): self._value() for _ in range(values)}
        located = [(self._string(), *self._place()) for _ in range(tensors)]
        step = told["general.alignment"].content if "general.alignment" in told else _ALIGNMENT
        start = math.ceil(self._at / step) * step
        return Contents(told, {name: Located(shape, kind, start + offset) for name, shape, kind, offset in located})

    def _take(self, layout: str) -> tuple[Any, ...]:
        found = struct.unpack_from(f"<{layout}", self._data, self._at)
        self._at += struct.calcsize(f"<{layout}")
        return found

    def _room(self, count: int, size: int) -> int:
        if count * size > len(self._data) - self._at:
            raise ValueError("it ends too early")
        return int(count)

    def _string(self) -> str:
        length = self._room(self._take("Q")[0], 1)
        self._at += length
        return self._data[self._at - length : self._at].decode("utf-8")

    def _value(self) -> Value:
        (kind,) = self._take("I")
        if kind != _ARRAY:
            return Value(self._string() if kind == _STRING else self._take(_NUMBERS[kind])[0], kind)
        of, count = self._take("IQ")
        if of == _STRING:
            return Value([self._string() for _ in range(self._room(count, 8))], kind, of)
        layout = _NUMBERS[of]
        return Value(list(self._take(f"{self._room(count, struct.calcsize(f'<{layout}'))}{layout}")), kind, of)

    def _place(self) -> tuple[tuple[int, ...], int, int]:
        (rank,) = self._take("I")
        if rank > _LARGEST_RANK:
            raise ValueError(f"a tensor has {rank} axes")
        shape = self._take(f"{rank}Q")[::-1]
        kind, offset = self._take("IQ")
        return shape, kind, offset
