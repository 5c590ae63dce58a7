"""A Llama of two layers that writes whole verdicts: its weights are made by hand, nothing has to be trained first.

Each piece of a verdict is one token, and the next piece depends on the last token alone. Layers add nothing at first,
so that all grades and critiques are equally likely; training moves them as in any other model.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from reagent_training.data.record import LabelledTrajectory, LabelSource
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from reagent_sdk.prompts import judge_prompt

TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
HEAD = "<analysis>\nGrade: "
MIDDLE = "\nI checked each step.\n</analysis>\n<critique>\n"
HELPFUL, USELESS, LEAK = "Check the second step again.", "It is nice work.", "The answer is 42."
TAIL = "\n</critique>\n<score>0.50</score>"
ASKED = "The record is closed. Write the three blocks of your verdict now."
HIDDEN = 192


def tokenizer() -> PreTrainedTokenizerFast:
    """Bytes, and the pieces of a verdict."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: place for place, token in enumerate([*SPECIAL, *alphabet])}
    made = Tokenizer(models.BPE(vocabulary, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens(SPECIAL)
    long = judge_prompt("rrm-2").instructions  # one token, or each prompt would be five times as long
    pieces = (HEAD, MIDDLE, HELPFUL, USELESS, LEAK, TAIL, long, ASKED)
    made.add_tokens([AddedToken(piece, normalized=False) for piece in pieces])
    told = {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
    return PreTrainedTokenizerFast(tokenizer_object=made, chat_template=TEMPLATE, **told)


def write_judge(folder: Path, *, grades: str = "0123456789", critiques: tuple[str, ...] = (HELPFUL, USELESS)) -> Path:
    """Writes weights that answer any prompt with a verdict of one of these grades and critiques."""
    made = tokenizer()
    config = LlamaConfig(
        vocab_size=len(made),
        hidden_size=HIDDEN,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=4096,
        tie_word_embeddings=False,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
    )
    torch.manual_seed(0)
    model = LlamaForCausalLM(config)
    after: dict[int, list[int]] = {}

    def follows(piece: str, *others: str) -> None:
        after[_id(made, piece)] = [_id(made, other) for other in others]

    follows("\n", HEAD)
    follows(HEAD, *grades)
    for grade in grades:
        follows(grade, MIDDLE)
    follows(MIDDLE, *critiques)
    for critique in critiques:
        follows(critique, TAIL)
    follows(TAIL, "<|im_end|>")
    with torch.no_grad():
        model.lm_head.weight.mul_(0.02)
        directions = torch.nn.functional.normalize(torch.randn(len(made), HIDDEN), dim=1)
        model.model.embed_tokens.weight.copy_(directions)
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        for token, following in after.items():
            for other in following:
                model.lm_head.weight[other] += 1.5 * directions[token]
    model.save_pretrained(folder)
    made.save_pretrained(folder)
    return folder


def _id(made: Any, piece: str) -> int:
    ids = made(piece, add_special_tokens=False)["input_ids"]
    assert len(ids) == 1, (piece, ids)
    return int(ids[0])


def row(name: str, answer: str, *, score: float | None = None, group: str = "q", **fields: Any) -> LabelledTrajectory:
    """Labelled work of one message on a short question."""
    data = {
        "id": name,
        "group": group,
        "source": "made",
        "label_source": LabelSource.OUTCOME,
        "task": {"question": "What is 6 times 7?", "id": group},
        "trajectory": {"messages": [{"role": "assistant", "content": answer}], "answer": answer},
        "score": score,
        "metadata": {"reference": ["42"]},
    }
    return LabelledTrajectory.model_validate(data | fields)
