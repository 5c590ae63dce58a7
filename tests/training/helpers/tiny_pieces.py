"""A Llama of two layers that writes fixed pieces: its weights are made by hand, nothing has to be trained first.

Each piece is one token, and the next piece depends on the last token alone. Layers add nothing at first, so that all
pieces that may follow are equally likely; training moves them as in any other model.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def piece_tokenizer(pieces: Iterable[str]) -> PreTrainedTokenizerFast:
    """Bytes, and each of these texts as one token."""
    vocabulary = {token: place for place, token in enumerate([*SPECIAL, *sorted(pre_tokenizers.ByteLevel.alphabet())])}
    made = Tokenizer(models.BPE(vocabulary, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens(SPECIAL)
    made.add_tokens([AddedToken(piece, normalized=False) for piece in pieces])
    names = {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
    return PreTrainedTokenizerFast(tokenizer_object=made, chat_template=TEMPLATE, **names)


def id_of(made: Any, piece: str) -> int:
    """The one token of a piece."""
    ids = made(piece, add_special_tokens=False)["input_ids"]
    assert len(ids) == 1, (piece, ids)
    return int(ids[0])


def write_pieces(
    folder: Path, made: Any, follows: Mapping[str, Sequence[str]], *, hidden: int, intermediate: int, positions: int
) -> None:
    """Writes weights after whose pieces one of the pieces that may follow is written.

    Args:
        folder: takes weights and tokenizer.
        made: the tokenizer.
        follows: piece -> what may come after it.
        hidden: size of the model; the more pieces, the larger it has to be for them not to be mixed up.
        intermediate: size of the layers in between.
        positions: the window.
    """
    config = LlamaConfig(
        vocab_size=len(made),
        hidden_size=hidden,
        intermediate_size=intermediate,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=positions,
        tie_word_embeddings=False,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
    )
    torch.manual_seed(0)
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        model.lm_head.weight.mul_(0.02)
        directions = torch.nn.functional.normalize(torch.randn(len(made), hidden), dim=1)
        model.model.embed_tokens.weight.copy_(directions)
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        for piece, others in follows.items():
            for other in others:
                model.lm_head.weight[id_of(made, other)] += 1.5 * directions[id_of(made, piece)]
    model.save_pretrained(folder)
    made.save_pretrained(folder)
