"""What a model of the Llama family is made of, read from its config.json."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, Field, PositiveFloat, PositiveInt, ValidationError, model_validator

from reagent_sdk.errors import InvalidInput
from reagent_sdk.frozen import Frozen, first_problem

FILE_NAME = "config.json"


class LlamaShape(Frozen):
    """The numbers that a fine-tune shares with its base."""

    layers: PositiveInt
    hidden: PositiveInt
    inner: PositiveInt = Field(description="width of the feed-forward part")
    heads: PositiveInt
    kv_heads: PositiveInt
    head_dim: PositiveInt
    vocab: PositiveInt
    context: PositiveInt
    eps: PositiveFloat = Field(description="of the RMS norms")
    theta: PositiveFloat = Field(description="base of the rotary frequencies")

    def difference(self, other: LlamaShape) -> str | None:
        """The first number that differs by more than a float32's rounding, in words; None when all agree.

        But for `context`, which is what a model was trained to read and changes nothing of what it computes.
        """
        for name, mine in self:
            theirs = getattr(other, name)
            if name != "context" and not math.isclose(mine, theirs, rel_tol=1e-6):
                return f"{name} {mine:g} against {theirs:g}"
        return None


class Llama3Scaling(Frozen):
    """How Llama 3.1 and later stretch the rotary frequencies."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    factor: PositiveFloat
    low_freq_factor: PositiveFloat
    high_freq_factor: PositiveFloat
    original_max_position_embeddings: PositiveInt

    @model_validator(mode="after")
    def _fast_and_slow(self) -> Llama3Scaling:
        if self.low_freq_factor >= self.high_freq_factor:
            raise ValueError("low_freq_factor must be below high_freq_factor")
        return self


class LlamaConfig(Frozen):
    """A config.json of the Llama family."""

    shape: LlamaShape
    tied: bool = Field(description="whether the output layer is the embedding")
    attention_bias: bool = False
    mlp_bias: bool = False
    scaling: Llama3Scaling | None = None
    bos: int | None = None
    eos: int | None = None


class _File(Frozen):
    """Names and defaults of transformers, old and new."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    model_type: Literal["llama"]
    hidden_act: Literal["silu"] = "silu"
    vocab_size: PositiveInt
    hidden_size: PositiveInt
    intermediate_size: PositiveInt
    num_hidden_layers: PositiveInt
    num_attention_heads: PositiveInt
    num_key_value_heads: PositiveInt | None = None
    head_dim: PositiveInt | None = None
    max_position_embeddings: PositiveInt = 2048
    rms_norm_eps: PositiveFloat = 1e-6
    rope_theta: PositiveFloat = 10000.0
    rope_scaling: dict[str, Any] | None = None
    rope_parameters: dict[str, Any] | None = None
    tie_word_embeddings: bool = False
    attention_bias: bool = False
    mlp_bias: bool = False
    bos_token_id: int | None = None
    eos_token_id: int | list[int] | None = None
    quantization_config: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _can_be_said_in_gguf(self) -> _File:
        if self.quantization_config:
            raise ValueError("the weights are quantised; export the plain ones")
        kind = self.rope.get("rope_type", self.rope.get("type", "default"))
        if kind not in ("default", "llama3"):
            raise ValueError(f"rotary embeddings of type {kind} cannot be exported, only default and llama3")
        return self

    @property
    def rope(self) -> dict[str, Any]:
        return self.rope_parameters or self.rope_scaling or {}


def read_config(folder: Path) -> LlamaConfig:
    """Reads the config.json of a folder of weights.

    Raises:
        InvalidInput: there is none, it is not one of the Llama family, or it asks for what a GGUF cannot say.
    """
    path = folder / FILE_NAME
    if not path.is_file():
        raise InvalidInput(f"{folder} holds no {FILE_NAME}, so it is not a folder of Hugging Face weights")
    try:
        given = json.loads(path.read_bytes())
        kind = given.get("model_type") if isinstance(given, dict) else None
        if kind != "llama":
            raise InvalidInput(f"{path} says that this is a model of type {kind}; only llama can be exported")
        return _understood(_File.model_validate(given))
    except ValidationError as error:
        raise InvalidInput(f"{path} cannot be used: {first_problem(error)}") from None
    except ValueError as error:
        if isinstance(error, InvalidInput):
            raise
        raise InvalidInput(f"{path} is not JSON: {error}") from None


def _understood(file: _File) -> LlamaConfig:
    eos = file.eos_token_id[0] if isinstance(file.eos_token_id, list) else file.eos_token_id
    scaled = file.rope.get("rope_type", file.rope.get("type")) == "llama3"
    return LlamaConfig(
        shape=LlamaShape(
            layers=file.num_hidden_layers,
            hidden=file.hidden_size,
            inner=file.intermediate_size,
            heads=file.num_attention_heads,
            kv_heads=file.num_key_value_heads or file.num_attention_heads,
            head_dim=file.head_dim or file.hidden_size // file.num_attention_heads,
            vocab=file.vocab_size,
            context=file.max_position_embeddings,
            eps=file.rms_norm_eps,
            theta=file.rope.get("rope_theta", file.rope_theta),
        ),
        tied=file.tie_word_embeddings,
        attention_bias=file.attention_bias,
        mlp_bias=file.mlp_bias,
        scaling=Llama3Scaling.model_validate(file.rope) if scaled else None,
        bos=file.bos_token_id,
        eos=eos,
    )
