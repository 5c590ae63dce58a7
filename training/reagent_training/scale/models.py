"""Architectures of dense decoders, and what follows from their shape: parameters, adapters, key-value cache.

Symbols, here and in docs/scale.md: L layers, h hidden size, f intermediate size, a query heads, k key-value heads,
d size of a head, V vocabulary.

    P = V h (twice, where the head is not tied to the embedding) + L u + h
    u = h a d + 2 h k d + a d h + 3 h f + 2 h       a layer: attention, gated MLP, two norms
        + 2 d           with norms of query and key (Qwen3)
        + (a + 2 k) d   with biases of query, key and value (Qwen2); Llama's attention_bias also has h
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import Field, ValidationError, model_validator

from reagent_sdk.errors import InvalidInput
from reagent_sdk.frozen import Frozen, first_problem
from reagent_training.train.config import Lora

_FAMILIES = ("llama", "mistral", "qwen2", "qwen3")


class Architecture(Frozen):
    """The shape of a dense decoder of the Llama family.

    Attributes:
        base: what to load: a hub id or a folder.
    """

    base: str
    layers: int = Field(ge=1)
    hidden: int = Field(ge=1)
    intermediate: int = Field(ge=1)
    heads: int = Field(ge=1)
    kv_heads: int = Field(ge=1)
    head_dim: int = Field(ge=1)
    vocabulary: int = Field(ge=1)
    tied: bool = False
    qk_norm: bool = False
    qkv_bias: bool = False
    output_bias: bool = False

    @model_validator(mode="after")
    def _whole_groups(self) -> Architecture:
        if self.heads % self.kv_heads:
            raise ValueError(f"{self.heads} query heads cannot share {self.kv_heads} key-value heads evenly")
        return self

    @property
    def queries(self) -> int:
        """Width of all queries, a d."""
        return self.heads * self.head_dim

    @property
    def keys(self) -> int:
        """Width of all keys, and of all values, k d."""
        return self.kv_heads * self.head_dim

    @property
    def head(self) -> int:
        """Parameters of the output head, V h, whether or not they are the embedding's."""
        return self.vocabulary * self.hidden

    @property
    def projections(self) -> dict[str, tuple[int, int]]:
        """Inputs and outputs of the matrices of a layer, by their names in transformers."""
        wide = (self.hidden, self.intermediate)
        return {
            "q_proj": (self.hidden, self.queries),
            "k_proj": (self.hidden, self.keys),
            "v_proj": (self.hidden, self.keys),
            "o_proj": (self.queries, self.hidden),
            "gate_proj": wide,
            "up_proj": wide,
            "down_proj": wide[::-1],
        }

    @property
    def matrices(self) -> int:
        """W, the parameters that are multiplied with each token: the matrices of all layers, without the head."""
        return self.layers * sum(inner * outer for inner, outer in self.projections.values())

    @property
    def layer(self) -> int:
        """Parameters of one layer, u."""
        biases = self.qkv_bias * (self.queries + 2 * self.keys) + self.output_bias * self.hidden
        return self.matrices // self.layers + 2 * self.hidden + 2 * self.qk_norm * self.head_dim + biases

    @property
    def parameters(self) -> int:
        """Parameters in all, P."""
        return self.head * (1 if self.tied else 2) + self.layers * self.layer + self.hidden

    def adapter(self, lora: Lora) -> int:
        """Parameters T of a LoRA adapter: rank (inputs + outputs) of each matrix that has one.

        Raises:
            InvalidInput: a target that a layer does not have, or no layer to train.
        """
        unknown = [name for name in lora.targets if name not in self.projections]
        if unknown:
            raise InvalidInput(f"lora.targets: {unknown[0]!r} is none of {', '.join(self.projections)}")
        if lora.first_layer >= self.layers:
            raise InvalidInput(
                f"lora.first_layer is {lora.first_layer}, and there are the layers 0 to {self.layers - 1}"
            )
        return (self.layers - lora.first_layer) * lora.rank * sum(sum(self.projections[one]) for one in lora.targets)

    def cache(self, number: int = 2) -> int:
        """Bytes of key-value cache for a token, 2 L k d, each number of `number` bytes."""
        return 2 * self.layers * self.keys * number


_QWEN3: dict[str, Any] = {"head_dim": 128, "vocabulary": 151_936, "kv_heads": 8, "qk_norm": True}
_SMOLLM2: dict[str, Any] = {"head_dim": 64, "vocabulary": 49_152, "tied": True}

PRESETS: Mapping[str, Architecture] = MappingProxyType(
    {
        "135m": Architecture(
            base="HuggingFaceTB/SmolLM2-135M-Instruct",
            layers=30, hidden=576, intermediate=1_536, heads=9, kv_heads=3, **_SMOLLM2,
        ),
        "360m": Architecture(
            base="HuggingFaceTB/SmolLM2-360M-Instruct",
            layers=32, hidden=960, intermediate=2_560, heads=15, kv_heads=5, **_SMOLLM2,
        ),
        "1.7b": Architecture(
            base="Qwen/Qwen3-1.7B", layers=28, hidden=2_048, intermediate=6_144, heads=16, tied=True, **_QWEN3
        ),
        "4b": Architecture(
            base="Qwen/Qwen3-4B", layers=36, hidden=2_560, intermediate=9_728, heads=32, tied=True, **_QWEN3
        ),
        "8b": Architecture(base="Qwen/Qwen3-8B", layers=36, hidden=4_096, intermediate=12_288, heads=32, **_QWEN3),
        "14b": Architecture(base="Qwen/Qwen3-14B", layers=40, hidden=5_120, intermediate=17_408, heads=40, **_QWEN3),
        "32b": Architecture(base="Qwen/Qwen3-32B", layers=64, hidden=5_120, intermediate=25_600, heads=64, **_QWEN3),
    }
)  # fmt: skip


def architecture_of(name: str) -> Architecture:
    """The shape of a model.

    Args:
        name: a preset, the hub id of one, or a folder with a `config.json`.

    Raises:
        InvalidInput: neither, or a folder of another kind of model.
    """
    for preset, known in PRESETS.items():
        if name.lower() in (preset, known.base.lower()):
            return known
    file = Path(name).expanduser() / "config.json"
    if not file.is_file():
        raise InvalidInput(f"unknown model {name!r}: name one of {', '.join(PRESETS)}, or a folder with a config.json")
    try:
        read = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidInput(f"cannot read {file}: {' '.join(str(error).split())}") from None
    return _from_config(read, name, file)


def _from_config(read: Any, name: str, file: Path) -> Architecture:
    kind = read.get("model_type") if isinstance(read, dict) else None
    if kind not in _FAMILIES:
        raise InvalidInput(f"{file} describes a model of type {kind!r}; the formulas hold for {', '.join(_FAMILIES)}")
    hidden, heads = read.get("hidden_size"), read.get("num_attention_heads")
    size = read.get("head_dim") or (hidden // heads if isinstance(hidden, int) and isinstance(heads, int) else None)
    bias = bool(read.get("attention_bias", False))
    try:
        return Architecture(
            base=name,
            layers=read.get("num_hidden_layers"),
            hidden=hidden,
            intermediate=read.get("intermediate_size"),
            heads=heads,
            kv_heads=read.get("num_key_value_heads") or heads,
            head_dim=size,
            vocabulary=read.get("vocab_size"),
            tied=bool(read.get("tie_word_embeddings", False)),
            qk_norm=kind == "qwen3",
            qkv_bias=kind == "qwen2" or bias,
            output_bias=kind in ("llama", "qwen3") and bias,
        )
    except ValidationError as error:
        raise InvalidInput(f"{file}, {first_problem(error)}") from None
