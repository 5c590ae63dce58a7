"""A GGUF of the llama architecture: what an export takes over from its base, and what unpacking it begins with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from reagent_sdk.errors import InvalidInput, WeightsUnavailable
from reagent_sdk.models.gguf_llama import ARCHITECTURE, ROPE_FACTORS
from reagent_sdk.models.gguf_read import read_gguf
from reagent_sdk.models.llama import LlamaShape

_NOT_CARRIED = ("split.", "quantize.", "general.architecture", "general.name", "general.file_type", "general.quant")
_TOKENS = "tokenizer.ggml.tokens"


class Base:
    """A whole model of the llama architecture.

    Attributes:
        path: the file.
        shape: its numbers.
        scaled: whether it stretches its rotary frequencies as Llama 3.1 does.
    """

    def __init__(self, path: Path) -> None:
        """Reads metadata and the places of tensors.

        Raises:
            WeightsUnavailable: missing or damaged.
            InvalidInput: of another architecture, or an adapter.
        """
        self.path = path
        contents = read_gguf(path)
        self._values, self.tensors = contents.values, contents.tensors
        if self.value("general.architecture") != ARCHITECTURE or self.value("general.type") not in (None, "model"):
            raise InvalidInput(f"{path} is not a whole model of the {ARCHITECTURE} architecture")
        self.shape = self._shape()
        self.scaled = ROPE_FACTORS in self.tensors

    def value(self, name: str) -> Any:
        """One piece of metadata; None where it is not said."""
        return self._values[name].content if name in self._values else None

    @property
    def tokens(self) -> list[str]:
        """All tokens, by id."""
        return list(self.value(_TOKENS) or ())

    def carry_over(self, writer: Any) -> None:
        """Writes the metadata into a GGUFWriter, but for what speaks of this file and its numbers only."""
        from gguf import GGUFValueType

        for name, value in self._values.items():
            if not name.startswith(_NOT_CARRIED):
                of = None if value.of is None else GGUFValueType(value.of)
                writer.add_key_value(name, value.content, GGUFValueType(value.kind), of)

    def _shape(self) -> LlamaShape:
        def number(key: str) -> Any:
            return self.value(f"{ARCHITECTURE}.{key}")

        hidden, heads = number("embedding_length"), number("attention.head_count")
        embedding = self.tensors.get("token_embd.weight")
        try:
            return LlamaShape(
                layers=number("block_count"),
                hidden=hidden,
                inner=number("feed_forward_length"),
                heads=heads,
                kv_heads=number("attention.head_count_kv") or heads,
                head_dim=number("attention.key_length") or hidden // heads,
                vocab=embedding.shape[0] if embedding else 0,
                context=number("context_length"),
                eps=number("attention.layer_norm_rms_epsilon"),
                theta=number("rope.freq_base") or 10000.0,
            )
        except (ValidationError, TypeError, ZeroDivisionError):
            raise WeightsUnavailable(f"{self.path} does not say what a model of its architecture has to say") from None
