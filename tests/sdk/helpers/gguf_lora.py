"""A GGUF LoRA adapter of random numbers for the small model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from gguf import GGUFWriter

HIDDEN, RANK = 576, 4


def write_lora(path: Path, *, strength: float) -> Path:
    random = np.random.default_rng(0)
    writer = GGUFWriter(path, "llama")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", float(RANK))
    for block in range(0, 30, 3):
        name = f"blk.{block}.attn_output.weight"
        writer.add_tensor(f"{name}.lora_a", random.standard_normal((RANK, HIDDEN)).astype(np.float32))
        writer.add_tensor(f"{name}.lora_b", strength * random.standard_normal((HIDDEN, RANK)).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
