"""The Llama family in GGUF: names of tensors, order of rows, metadata."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from reagent_sdk.models.llama import Llama3Scaling, LlamaConfig, LlamaShape

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ARCHITECTURE = "llama"
BLOCK = "model.layers."
PROJECTIONS = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
"""Modules of one layer by their Hugging Face names."""

_NORMS = {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}
ROPE_FACTORS = "rope_freqs.weight"


class Expected(NamedTuple):
    """One tensor that a model of a shape has.

    Attributes:
        name: in GGUF.
        shape: rows first.
        heads: of which the rows have to be permuted; 0 for none.
    """

    name: str
    shape: tuple[int, ...]
    heads: int = 0


def projection(module: str, shape: LlamaShape) -> Expected | None:
    """The weight of a module such as `model.layers.3.self_attn.q_proj`; None for modules of another kind."""
    number, _, kind = module.removeprefix(BLOCK).partition(".")
    if not module.startswith(BLOCK) or kind not in PROJECTIONS or number not in map(str, range(shape.layers)):
        return None
    return _weight(number, kind, shape)


def _weight(number: str, kind: str, shape: LlamaShape) -> Expected:
    queries, keys = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    name = PROJECTIONS[kind]
    size = {
        "attn_q": (queries, shape.hidden),
        "attn_k": (keys, shape.hidden),
        "attn_v": (keys, shape.hidden),
        "attn_output": (shape.hidden, queries),
        "ffn_down": (shape.hidden, shape.inner),
    }.get(name, (shape.inner, shape.hidden))
    heads = {"attn_q": shape.heads, "attn_k": shape.kv_heads}.get(name, 0)
    return Expected(f"blk.{number}.{name}.weight", size, heads)


def expected_tensors(config: LlamaConfig) -> dict[str, Expected]:
    """All tensors of a whole model, by their Hugging Face names."""
    shape = config.shape
    table = {
        "model.embed_tokens.weight": Expected("token_embd.weight", (shape.vocab, shape.hidden)),
        "model.norm.weight": Expected("output_norm.weight", (shape.hidden,)),
    }
    if not config.tied:
        table["lm_head.weight"] = Expected("output.weight", (shape.vocab, shape.hidden))
    for number in map(str, range(shape.layers)):
        layer, block = f"{BLOCK}{number}", f"blk.{number}"
        for norm, name in _NORMS.items():
            table[f"{layer}.{norm}.weight"] = Expected(f"{block}.{name}.weight", (shape.hidden,))
        for kind in PROJECTIONS:
            weight = table[f"{layer}.{kind}.weight"] = _weight(number, kind, shape)
            if config.attention_bias if kind.startswith("self_attn") else config.mlp_bias:
                bias = f"{weight.name.removesuffix('weight')}bias"
                table[f"{layer}.{kind}.bias"] = Expected(bias, weight.shape[:1], weight.heads)
    return table


def permuted(values: NDArray[np.float32], heads: int) -> NDArray[np.float32]:
    """The rows of q or k in llama.cpp's order.

    It turns neighbouring rows of a head as a pair; transformers turns rows that are half a head apart.

    Args:
        values: (rows, ...), rows a multiple of twice the heads.
        heads: number of heads; 0 leaves the rows as they are.
    """
    if not heads:
        return values
    rows, *rest = values.shape
    return values.reshape(heads, 2, rows // heads // 2, *rest).swapaxes(1, 2).reshape(rows, *rest)


def unpermuted(values: NDArray[np.float32], heads: int) -> NDArray[np.float32]:
    """The rows of q or k as transformers wants them: what `permuted` was given."""
    if not heads:
        return values
    rows, *rest = values.shape
    return values.reshape(heads, rows // heads // 2, 2, *rest).swapaxes(1, 2).reshape(rows, *rest)


def rope_factors(scaling: Llama3Scaling, shape: LlamaShape) -> NDArray[np.float32]:
    """What each rotary frequency is divided by, (head_dim / 2,): fast ones stay, slow ones are stretched."""
    import numpy as np

    exponents = np.arange(0, shape.head_dim, 2, dtype=np.float64) / shape.head_dim
    turns = scaling.original_max_position_embeddings * shape.theta**-exponents / (2 * math.pi)  # within the old window
    span = scaling.high_freq_factor - scaling.low_freq_factor
    kept = np.clip((turns - scaling.low_freq_factor) / span, 0, 1)
    factors: NDArray[np.float32] = (1 / (kept + (1 - kept) / scaling.factor)).astype(np.float32)
    return factors


def add_shape(writer: Any, shape: LlamaShape) -> None:
    """Writes the model's numbers into a GGUFWriter."""
    writer.add_block_count(shape.layers)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.hidden)
    writer.add_feed_forward_length(shape.inner)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_key_length(shape.head_dim)
    writer.add_value_length(shape.head_dim)
    writer.add_layer_norm_rms_eps(shape.eps)
    writer.add_rope_freq_base(shape.theta)
    writer.add_rope_dimension_count(shape.head_dim)
    writer.add_vocab_size(shape.vocab)
