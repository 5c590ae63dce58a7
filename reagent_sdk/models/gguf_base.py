"""What an export takes over from the GGUF of a base model: its numbers, its tokenizer and what it says about itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from reagent_sdk.errors import InvalidInput, WeightsUnavailable
from reagent_sdk.models.find import find
from reagent_sdk.models.gguf_llama import ARCHITECTURE, ROPE_FACTORS
from reagent_sdk.models.llama import LlamaShape

_NOT_CARRIED = ("GGUF.", "split.", "quantize.", "general.name", "general.file_type", "general.quant")
_TOKENS = "tokenizer.ggml.tokens"


class Base:
    """A GGUF of the llama architecture.

    Attributes:
        path: the file.
        shape: its numbers.
        scaled: whether it stretches its rotary frequencies as Llama 3.1 does.
    """

    def __init__(self, ref: str | Path) -> None:
        """Reads a known model or a file; see `models.find`.

        Raises:
            WeightsUnavailable: missing or damaged.
            InvalidInput: of another architecture, or an adapter.
        """
        from gguf import GGUFReader

        self.path = find(ref)
        try:
            reader = GGUFReader(self.path)
            self._fields = reader.fields
            kind, architecture = self._fields.get("general.type"), self._value("general.architecture")
            if architecture != ARCHITECTURE or (kind is not None and kind.contents() != "model"):
                raise InvalidInput(f"{self.path} is not a whole model of the {ARCHITECTURE} architecture")
            rows = {tensor.name: int(tensor.shape[-1]) for tensor in reader.tensors}
            self.shape = _shape(self._value, rows)
            self.scaled = ROPE_FACTORS in rows
        except InvalidInput:
            raise
        except (ValueError, KeyError, IndexError, TypeError, OverflowError, ValidationError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise WeightsUnavailable(f"{self.path} is damaged or incomplete: {reason}") from None

    def tokens(self) -> list[str]:
        """All tokens, by id."""
        return list(self._value(_TOKENS))

    def carry_over(self, writer: Any) -> None:
        """Writes the metadata into a GGUFWriter, but for what speaks of this file and its numbers only."""
        from gguf import GGUFValueType

        for name, field in self._fields.items():
            if name == "general.architecture" or name.startswith(_NOT_CARRIED):
                continue
            of = field.types[-1] if field.types[0] is GGUFValueType.ARRAY else None
            writer.add_key_value(name, field.contents(), field.types[0], of)

    def _value(self, name: str) -> Any:
        return self._fields[name].contents()


def _shape(value: Any, rows: Mapping[str, int]) -> LlamaShape:
    def number(key: str, *default: float) -> Any:
        try:
            return value(f"{ARCHITECTURE}.{key}")
        except KeyError:
            if not default:
                raise
            return default[0]

    hidden, heads = number("embedding_length"), number("attention.head_count")
    return LlamaShape(
        layers=number("block_count"),
        hidden=hidden,
        inner=number("feed_forward_length"),
        heads=heads,
        kv_heads=number("attention.head_count_kv", heads),
        head_dim=number("attention.key_length", hidden // heads),
        vocab=rows["token_embd.weight"],
        context=number("context_length"),
        eps=number("attention.layer_norm_rms_epsilon"),
        theta=number("rope.freq_base", 10000.0),
    )
