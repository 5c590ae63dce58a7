"""A compact base model: a small vocabulary and a few million parameters, pre-trained on the text of a set.

It stands in for a pre-trained model where a GPU is missing. It knows the format of tool calls and verdicts and the
words of the tasks, and nothing else. Texts that never change (the instructions with the tools, the judge's prompt) are
one token each: a small model needs the room for what does change.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from reagent_sdk.messages import Message
from reagent_sdk.prompts import judge_prompt, revision_request
from reagent_training.mini.config import CompactModel
from reagent_training.mini.drills import AT_ONCE, drills_of
from reagent_training.train.running import CHECKPOINTS, last_checkpoint, without_bar

END, START, PAD = "<|im_end|>", "<|im_start|>", "<|endoftext|>"
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_MARK = "\u0000"
_LONGEST = 40
"""Characters of a token: phrases of templates become one, which makes sequences short."""


def make_tokenizer(texts: Iterable[str], fixed: Sequence[str], vocabulary: int) -> Any:
    """A byte-level BPE tokenizer whose digits stand alone, with one token for each fixed text.

    Args:
        texts: what it learns its vocabulary from.
        fixed: texts that become one token each.
        vocabulary: size, without the fixed texts.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    made.decoder = decoders.ByteLevel()
    special = [PAD, START, END]
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=special,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
        max_token_length=_LONGEST,
    )
    made.train_from_iterator(texts, trainer)
    made.add_tokens([AddedToken(text, normalized=False) for text in fixed])
    return PreTrainedTokenizerFast(
        tokenizer_object=made, chat_template=TEMPLATE, bos_token=START, eos_token=END, pad_token=PAD
    )


def fixed_texts(system: str) -> list[str]:
    """What never changes: the agent's system message, the judge's prompt and the words around critique and record."""
    before, after = revision_request(_MARK).split(_MARK)
    closing = "\n\nThe record is closed. Write the three blocks of your verdict now."
    return [system, judge_prompt("rrm-2").instructions, before, after, closing]


def new_model(settings: CompactModel, tokenizer: Any, seed: int) -> Any:
    """A Llama of random weights."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=settings.hidden,
            intermediate_size=settings.hidden * 8 // 3 // 8 * 8,
            num_hidden_layers=settings.layers,
            num_attention_heads=settings.heads,
            num_key_value_heads=settings.heads,
            max_position_embeddings=settings.positions,
            tie_word_embeddings=True,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def texts_of(messages: Iterable[Message], fixed: Sequence[str]) -> Iterator[str]:
    """What a tokenizer learns its vocabulary from: messages with their headings, without what is a token already."""
    for message in messages:
        rest = [f"{message.role}\n{message.text}"]
        for text in fixed:
            rest = [piece for part in rest for piece in part.split(text)]
        yield from (piece for piece in rest if piece)


def pretrain(
    documents: Sequence[Sequence[int]], settings: CompactModel, tokenizer: Any, out: Path, *, seed: int
) -> None:
    """Pre-trains a new model on whole conversations, every token of them, drills it, and writes it to `out`.

    A run that was interrupted goes on. Documents stand alone, padded: nothing is learnt across their borders.

    Args:
        documents: token ids.
        settings: size and schedule.
        tokenizer: saved beside the weights.
        out: the folder.
        seed: of weights, drills and order.
    """
    kept = [list(ids) for ids in documents if len(ids) <= settings.positions]
    rows: dict[str, list[Any]] = {"input_ids": kept, "labels": kept, "length": [len(ids) for ids in kept]}
    model = new_model(settings, tokenizer, seed)
    _train(model, rows, tokenizer, out, _reading(settings), seed=seed)
    if settings.drills:
        drills = drills_of(kept, tokenizer, settings.drills, seed)
        _train(model, drills, tokenizer, out / "drills", _drilling(settings), seed=seed, until=settings.drilled)
    tokenizer.save_pretrained(out)
    model.save_pretrained(out)  # last: weights say that the base is made


def _drilling(settings: CompactModel) -> dict[str, Any]:
    return {
        "num_train_epochs": 1,
        "per_device_train_batch_size": AT_ONCE,
        "learning_rate": settings.drill_rate,
        "lr_scheduler_type": "constant_with_warmup",
        "train_sampling_strategy": "sequential",
        "adam_beta2": 0.98,
    }


def _reading(settings: CompactModel) -> dict[str, Any]:
    return {
        "per_device_train_batch_size": settings.batch,
        "num_train_epochs": settings.epochs,
        "learning_rate": settings.learning_rate,
        "lr_scheduler_type": "cosine",
        "train_sampling_strategy": "group_by_length",
    }


def _train(
    model: Any,
    rows: dict[str, list[Any]],
    tokenizer: Any,
    out: Path,
    how: Mapping[str, Any],
    *,
    seed: int,
    until: float = 0.0,
) -> None:
    """Trains on rows, or goes on where it was interrupted; ends early where the logged loss is below `until` nats."""
    from datasets import Dataset
    from transformers import DataCollatorForSeq2Seq, Trainer, TrainerCallback, TrainingArguments

    class Learnt(TrainerCallback):  # type: ignore[misc]
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            if float((logs or {}).get("loss", until)) < until:
                control.should_training_stop = control.should_save = True

    arguments = TrainingArguments(
        output_dir=str(out / CHECKPOINTS),
        **how,
        warmup_steps=0.02,
        weight_decay=0.01,
        logging_steps=20,
        save_steps=200,
        save_total_limit=1,
        seed=seed,
        data_seed=seed,
        report_to="none",
        disable_tqdm=without_bar(),
        dataloader_pin_memory=False,
    )
    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_dict(rows),
        data_collator=DataCollatorForSeq2Seq(tokenizer, label_pad_token_id=-100),
        callbacks=[Learnt()],
    )
    trainer.train(resume_from_checkpoint=last_checkpoint(out))
