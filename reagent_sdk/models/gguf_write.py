"""Writing a GGUF tensor by tensor: one of them in memory at a time, and the whole file or none."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from reagent_sdk.errors import InvalidInput

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NumberType = Literal["f32", "f16", "bf16", "q8_0"]
TYPES: tuple[NumberType, ...] = get_args(NumberType)
Progress = Callable[[int, int], None]
"""Told how many numbers are written, and of how many."""

_FILE_TYPES: dict[NumberType, int] = {"f32": 0, "f16": 1, "q8_0": 7, "bf16": 32}
_QUANTISATION_VERSION = 2
_LARGEST_F16 = 65504


@dataclass(frozen=True)
class Planned:
    """A tensor to write.

    Attributes:
        name: in the GGUF.
        shape: rows first.
        read: gives the numbers, of this shape, when their turn comes.
        origin: where they come from, for messages.
    """

    name: str
    shape: tuple[int, ...]
    read: Callable[[], NDArray[np.float32]]
    origin: str

    @property
    def size(self) -> int:
        """How many numbers."""
        return math.prod(self.shape)


def write_tensors(writer: Any, draft: Path, plan: Sequence[Planned], numbers: NumberType, progress: Progress) -> None:
    """Writes header, metadata and tensors; `writer` is a GGUFWriter that holds the metadata and no tensor.

    Vectors are always float32, as llama.cpp wants them. Rows that do not divide into blocks of q8_0 become f16.

    Args:
        writer: closed afterwards.
        draft: the file.
        plan: the tensors in order.
        numbers: of which type.
        progress: told after each tensor.

    Raises:
        InvalidInput: a number is not finite, or too large for f16.
    """
    import numpy as np
    from gguf import GGML_QUANT_SIZES, quants

    writer.add_file_type(_FILE_TYPES[numbers])
    if numbers == "q8_0":
        writer.add_quantization_version(_QUANTISATION_VERSION)
    for tensor in plan:
        kind = _kind(tensor.shape, numbers)
        block, size = GGML_QUANT_SIZES[kind]
        writer.add_tensor_info(tensor.name, tensor.shape, np.float32, tensor.size // block * size, raw_dtype=kind)
    try:
        writer.write_header_to_file(draft)
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        done, total = 0, sum(tensor.size for tensor in plan)
        for tensor in plan:
            writer.write_tensor_data(quants.quantize(_checked(tensor, numbers), _kind(tensor.shape, numbers)))
            done += tensor.size
            progress(done, total)
    finally:
        writer.close()


def _kind(shape: tuple[int, ...], numbers: NumberType) -> Any:
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

    if len(shape) == 1:
        return GGMLQuantizationType.F32
    kind = GGMLQuantizationType[numbers.upper()]
    return GGMLQuantizationType.F16 if shape[-1] % GGML_QUANT_SIZES[kind][0] else kind


def _checked(tensor: Planned, numbers: NumberType) -> NDArray[np.float32]:
    import numpy as np

    values = np.ascontiguousarray(tensor.read(), np.float32)
    largest = float(np.abs(values).max(initial=0))  # NaN where there is one
    if not math.isfinite(largest):
        raise InvalidInput(f"{tensor.origin} holds numbers that are not finite; the training that made it went wrong")
    if numbers in ("f16", "q8_0") and largest > _LARGEST_F16 and len(tensor.shape) > 1:
        raise InvalidInput(f"{tensor.origin} holds {largest:g}, which {numbers} cannot; use bf16 or f32")
    return values
