"""Safetensors files, one or in shards, tensor by tensor and without torch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from reagent_sdk.errors import InvalidInput, WeightsUnavailable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_DTYPES = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}
_PICKLED = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.ckpt")


@dataclass(frozen=True)
class Stored:
    """One tensor in a file.

    Attributes:
        file: which file.
        dtype: F32, F16 or BF16, as safetensors names it.
        shape: rows first.
        offset: of its first byte in the file.
    """

    file: Path
    dtype: str
    shape: tuple[int, ...]
    offset: int

    def read(self) -> NDArray[np.float32]:
        """The numbers as float32, which holds every one of them exactly."""
        import numpy as np

        raw = np.memmap(self.file, _DTYPES[self.dtype], "r", self.offset, self.shape)
        if self.dtype == "BF16":  # the upper half of a float32
            return (np.asarray(raw, np.uint32) << 16).view(np.float32)
        return np.asarray(raw, np.float32)


def stored_tensors(folder: Path, stem: str) -> dict[str, Stored]:
    """All tensors of `STEM.safetensors`, or of the shards that `STEM.safetensors.index.json` names.

    Raises:
        InvalidInput: there are none, only pickled ones, or such as hold packed numbers.
        WeightsUnavailable: a file is missing, cut off or damaged.
    """
    whole, index = folder / f"{stem}.safetensors", folder / f"{stem}.safetensors.index.json"
    if whole.is_file():
        return _tensors_of(whole)
    if not index.is_file():
        raise InvalidInput(_nothing_here(folder, whole.name))
    places = _places(index)
    found: dict[str, Stored] = {}
    for name in sorted(set(places.values())):
        if not (folder / name).is_file():
            raise WeightsUnavailable(f"{folder} is incomplete: {name} is missing, which {index.name} names")
        found |= _tensors_of(folder / name)
    missing = sorted(places.keys() - found.keys())
    if missing:
        raise WeightsUnavailable(
            f"{folder} is incomplete: its files do not hold {missing[0]}, which {index.name} names"
        )
    return found


def _tensors_of(file: Path) -> dict[str, Stored]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="np"):  # checks that sizes and offsets fit each other and the file
            pass
    except (SafetensorError, OSError) as error:
        raise WeightsUnavailable(f"{file} is damaged or incomplete: {error}") from None
    with file.open("rb") as opened:
        size = int.from_bytes(opened.read(8), "little")
        header: dict[str, dict[str, Any]] = json.loads(opened.read(size))
    header.pop("__metadata__", None)
    packed = next((name for name, told in header.items() if told["dtype"] not in _DTYPES), None)
    if packed is not None:
        kind = header[packed]["dtype"]
        raise InvalidInput(f"{file} holds {packed} as {kind}; only weights in F32, F16 or BF16 can be exported")
    return {
        name: Stored(file, told["dtype"], tuple(told["shape"]), 8 + size + told["data_offsets"][0])
        for name, told in header.items()
    }


def _places(index: Path) -> dict[str, str]:
    """File by tensor; files outside the folder are not followed."""
    try:
        places = json.loads(index.read_bytes())["weight_map"]
        if all(isinstance(name, str) and Path(name).name == name for name in places.values()):
            return cast(dict[str, str], places)
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    raise WeightsUnavailable(f"{index} is damaged: it does not say which file holds which tensor")


def _nothing_here(folder: Path, wanted: str) -> str:
    pickled = sorted(path.name for pattern in _PICKLED for path in folder.glob(pattern))
    if pickled:
        return (
            f"{folder} holds pickled weights ({pickled[0]}), which can run code when they are read; "
            "save them as safetensors first"
        )
    return f"{folder} holds no {wanted}"
