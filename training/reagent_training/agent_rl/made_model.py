"""A model and texts made on the spot, so that the shape of what is measured can be chosen freely."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

_TEMPLATE = (
    "{% for message in messages %}<|im_start|> {{ message['role'] }} {{ message['content'] }} <|im_end|> {% endfor %}"
    "{% if add_generation_prompt %}<|im_start|> assistant {% endif %}"
)
_SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|unknown|>"]


@dataclass(frozen=True)
class Shape:
    """What both are measured on.

    Attributes:
        rows: sequences in a step.
        group: sequences whose rewards are compared, revisions included.
        question: tokens of a question.
        completion: tokens of each completion.
        vocabulary: entries of the made model's vocabulary.
        hidden, layers: size of the made model.
    """

    rows: int = 16
    group: int = 8
    question: int = 32
    completion: int = 64
    vocabulary: int = 49_152
    hidden: int = 128
    layers: int = 4


def words_tokenizer(size: int) -> PreTrainedTokenizerFast:
    """Each word is one token, so that what is decoded and encoded again keeps its length."""
    names = [*_SPECIAL, *(f"w{number}" for number in range(size - len(_SPECIAL)))]
    vocabulary = {name: place for place, name in enumerate(names)}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token=_SPECIAL[3]))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.add_special_tokens([AddedToken(name, normalized=False) for name in _SPECIAL[:3]])
    told = {"eos_token": _SPECIAL[2], "pad_token": _SPECIAL[0], "unk_token": _SPECIAL[3]}
    return PreTrainedTokenizerFast(tokenizer_object=made, chat_template=_TEMPLATE, **told)


def words_model(shape: Shape, seed: int) -> LlamaForCausalLM:
    """A small Llama without training."""
    torch.manual_seed(seed)
    settings = LlamaConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        intermediate_size=3 * shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=2_048,
        bos_token_id=None,
        eos_token_id=2,
        pad_token_id=0,
    )
    return LlamaForCausalLM(settings)


def words(count: int) -> str:
    """Text of so many tokens."""
    return " ".join(f"w{number}" for number in range(count))
