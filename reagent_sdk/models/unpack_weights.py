"""The numbers of a GGUF as a model of transformers. Imports torch: import this module on first use."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, dequantize
from transformers import LlamaConfig as HFConfig
from transformers import LlamaForCausalLM

from reagent_sdk.errors import InvalidInput, WeightsUnavailable
from reagent_sdk.models.gguf_base import Base
from reagent_sdk.models.gguf_llama import expected_tensors, unpermuted
from reagent_sdk.models.gguf_read import Located
from reagent_sdk.models.llama import LlamaConfig

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from reagent_sdk.models.unpack import Dtype

_UNSCALED = (None, "none")


def network(base: Base, dtype: Dtype) -> LlamaForCausalLM:
    """The model, with plain numbers.

    Raises:
        InvalidInput: it has parts that are not read here, or numbers packed in a way that gguf cannot unpack.
        WeightsUnavailable: a tensor is missing or cut off.
    """
    config = LlamaConfig(
        shape=base.shape,
        tied="output.weight" not in base.tensors,
        attention_bias="blk.0.attn_q.bias" in base.tensors,
        mlp_bias="blk.0.ffn_up.bias" in base.tensors,
    )
    expected = expected_tensors(config)
    left = base.tensors.keys() - {wanted.name for wanted in expected.values()}
    if left or base.value("llama.rope.scaling.type") not in _UNSCALED:
        what = min(left) if left else "scaled rotary frequencies"
        raise InvalidInput(f"{base.path} has {what}, which cannot be unpacked; use the Hugging Face weights")
    state = {}
    for name, wanted in expected.items():
        found = base.tensors.get(wanted.name)
        if found is None or found.shape != wanted.shape:
            raise WeightsUnavailable(f"{base.path} is damaged: {wanted.name} is missing or of another shape")
        values = unpermuted(_plain(base.path, wanted.name, found), wanted.heads)
        state[name] = torch.tensor(values, dtype=getattr(torch, dtype))
    with torch.device("meta"):  # no numbers yet, and none that would be thrown away
        model = LlamaForCausalLM(_config(base, config, dtype))
    model.load_state_dict(state, strict=not config.tied, assign=True)
    model.tie_weights()
    return model


def _plain(path: Path, name: str, tensor: Located) -> NDArray[np.float32]:
    try:
        kind = GGMLQuantizationType(tensor.kind)
        block, size = GGML_QUANT_SIZES[kind]
        *rows, columns = tensor.shape
        packed = np.memmap(path, np.uint8, "r", tensor.offset, (*rows, columns // block * size))
        values = np.asarray(dequantize(packed, kind), np.float32)
    except NotImplementedError:
        raise InvalidInput(f"{path} holds {name} in a form that cannot be unpacked ({kind.name})") from None
    except (ValueError, KeyError, OverflowError) as error:
        raise WeightsUnavailable(f"{path} is damaged or incomplete: {name}: {error}") from None
    if values.size != math.prod(tensor.shape):
        raise WeightsUnavailable(f"{path} is damaged: {name} is of another size than it says")
    return values.reshape(tensor.shape)


def _config(base: Base, config: LlamaConfig, dtype: Dtype) -> HFConfig:
    shape = config.shape
    return HFConfig(
        vocab_size=shape.vocab,
        hidden_size=shape.hidden,
        intermediate_size=shape.inner,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        head_dim=shape.head_dim,
        max_position_embeddings=shape.context,
        rms_norm_eps=float(f"{shape.eps:.6g}"),  # float32's 9.999999747378752e-06 was written as 1e-05
        rope_parameters={"rope_type": "default", "rope_theta": shape.theta},
        tie_word_embeddings=config.tied,
        attention_bias=config.attention_bias,
        mlp_bias=config.mlp_bias,
        bos_token_id=base.value("tokenizer.ggml.bos_token_id"),
        eos_token_id=base.value("tokenizer.ggml.eos_token_id"),
        pad_token_id=base.value("tokenizer.ggml.padding_token_id"),
        dtype=dtype,
    )
