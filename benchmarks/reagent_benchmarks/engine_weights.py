"""One model in the containers that the engines want, all made of one GGUF: the same numbers everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from reagent_sdk.models.unpack import unpack


class Weights(NamedTuple):
    """Where the containers are.

    Attributes:
        packed: the GGUF as it came.
        plain: its numbers as a float32 GGUF.
        hf: its numbers as a float32 Hugging Face folder with tokenizer and chat template.
    """

    packed: Path
    plain: Path
    hf: Path


def prepare(packed: Path, folder: Path) -> Weights:
    """Writes what is not in `folder` yet; an interrupted write leaves nothing that looks finished."""
    weights = Weights(packed, folder / f"{packed.stem}.f32.gguf", folder / "hf")
    folder.mkdir(parents=True, exist_ok=True)
    if not weights.plain.exists():
        unfinished = weights.plain.with_name(f"{weights.plain.name}.unfinished")
        write_plain(packed, unfinished)
        unfinished.rename(weights.plain)
    if not weights.hf.exists():
        unpack(packed, weights.hf)
    return weights


def write_plain(packed: Path, target: Path) -> None:
    """The same GGUF with every tensor as float32."""
    import numpy as np
    from gguf import GGUFReader, GGUFValueType, GGUFWriter, LlamaFileType, dequantize

    reader = GGUFReader(packed)
    writer = GGUFWriter(target, reader.fields["general.architecture"].contents())
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name in ("general.architecture", "general.file_type"):
            continue
        of = field.types[-1] if field.types[0] is GGUFValueType.ARRAY else None
        writer.add_key_value(name, field.contents(), field.types[0], of)
    writer.add_file_type(LlamaFileType.ALL_F32)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, np.ascontiguousarray(dequantize(tensor.data, tensor.tensor_type), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
