"""RRM SFT: a judge learns format, words and score from labelled trajectories (the paper's first stage).

rows -> prompt and target as the SDK serves and parses them -> TRL's SFTTrainer, loss on the target only -> weights.

It goes beyond the paper in one thing: under a graded prompt the score is learnt as a distribution over ten digits that
stand before any reasoning (`sft_loss`, `reagent_sdk.grading`), where the paper has the model write a number at the end.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from reagent_sdk.errors import InvalidInput
from reagent_sdk.prompts import judge_prompt
from reagent_training.data.record import LabelledTrajectory
from reagent_training.train.config import SftConfig
from reagent_training.train.examples import Example, sft_examples
from reagent_training.train.rows import read_rows, shared_groups
from reagent_training.train.running import finish, resume_from, trainer_settings


def load_rows(config: SftConfig) -> tuple[list[LabelledTrajectory], list[LabelledTrajectory]]:
    """Rows to train on and rows to validate on.

    Raises:
        InvalidInput: bad data, or a question on both sides.
    """
    train = read_rows(config.train, prompt_version=config.prompt_version, seed=config.seed)
    validation: list[LabelledTrajectory] = []
    if config.validation:
        validation = read_rows(config.validation, prompt_version=config.prompt_version, seed=config.seed)
        if both := shared_groups(train, validation):
            raise InvalidInput(
                f"{len(both)} questions are in the training and in the validation rows, such as {min(both)!r}; "
                "split by question with `reagent data split`"
            )
    return train, validation


def run(config: SftConfig, out: Path) -> dict[str, Any]:
    """Trains, or goes on where an interrupted run stopped, and writes the judge to `out`.

    Returns:
        What came of it, as in `out/report.json`.

    Raises:
        InvalidInput: bad data or settings; nothing has been written then.
        WeightsUnavailable: the base weights are missing.
    """
    rows, held_out = load_rows(config)
    from reagent_training.train.weights import load_base

    model, tokenizer = load_base(config)
    left_out: Counter[str] = Counter()
    train = sft_examples(rows, tokenizer, config, config.preferred, left_out)
    if not train:
        raise InvalidInput(f"no row can be trained on: {dict(left_out)}")
    validation = sft_examples(held_out, tokenizer, config, config.preferred, Counter())
    trainer = _trainer(config, out, model, tokenizer, train, validation)
    trainer.train(resume_from_checkpoint=resume_from(out, config))
    return finish(trainer, config, out, facts={"rows": len(train), "left_out": dict(left_out)}, rows=rows)


def _trainer(
    config: SftConfig, out: Path, model: Any, tokenizer: Any, train: list[Example], validation: list[Example]
) -> Any:
    from trl import SFTConfig

    from reagent_training.train.sft_loss import Collator, JudgeSFTTrainer, digit_ids
    from reagent_training.train.weights import adapter_settings

    settings = SFTConfig(
        **trainer_settings(config, out),
        max_length=None,
        packing=False,
        remove_unused_columns=False,
        dataset_kwargs={"skip_prepare_dataset": True},
        eval_strategy="steps" if validation and config.validate_every else "no",
        eval_steps=config.validate_every,
        per_device_eval_batch_size=config.optimiser.batch,
    )
    graded = judge_prompt(config.prompt_version).graded
    layers = model.config.get_text_config().num_hidden_layers
    return JudgeSFTTrainer(
        model=model,
        args=settings,
        processing_class=tokenizer,
        train_dataset=_data_set(train),
        eval_dataset=_data_set(validation) if validation else None,
        data_collator=Collator(tokenizer.pad_token_id),
        peft_config=adapter_settings(config.lora, layers) if config.lora else None,
        grade_weight=config.grade_weight if graded else 0.0,
        digits=digit_ids(tokenizer),
    )


def _data_set(examples: list[Example]) -> Any:
    from datasets import Dataset

    columns = ("input_ids", "labels", "grade_at", "score")
    return Dataset.from_dict({name: [getattr(one, name) for one in examples] for name in columns})
