"""RRM SFT: a judge learns format, words and score from labelled trajectories (the paper's first stage).

rows -> prompt and target as the SDK serves and parses them -> TRL's SFTTrainer, loss on the target only -> weights.

It goes beyond the paper in one thing: under a graded prompt the score is learnt as a distribution over ten digits that
stand before any reasoning (`sft_loss`, `reagent_sdk.grading`), where the paper has the model write a number at the end.
"""

from __future__ import annotations

from collections import Counter
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reagent_sdk.errors import InvalidInput
from reagent_sdk.prompts import judge_prompt
from reagent_training.data.record import LabelledTrajectory
from reagent_training.train.config import SftConfig
from reagent_training.train.examples import Example, sft_examples
from reagent_training.train.rows import check_apart, read_rows
from reagent_training.train.running import finish, resume_from, sources_of, trainer_settings
from reagent_training.train.start import load_fresh


@dataclass(frozen=True)
class Prepared:
    """What a run works with.

    Attributes:
        rows: read from the training sets; `train` holds those that can be trained on, as tokens.
        held_out: read from the validation sets; `validation` holds them as tokens.
        model: the base.
        tokenizer: of the base.
        left_out: rows that are not trained on, by reason.
        adapter: the adapter as PEFT takes it; None trains all weights.
    """

    rows: list[LabelledTrajectory]
    held_out: list[LabelledTrajectory]
    model: Any
    tokenizer: Any
    train: list[Example]
    validation: list[Example]
    left_out: dict[str, int]
    adapter: Any = None


def load_rows(config: SftConfig) -> tuple[list[LabelledTrajectory], list[LabelledTrajectory]]:
    """Rows to train on and rows to validate on.

    Raises:
        InvalidInput: bad data, or a question on both sides.
    """
    train = read_rows(config.train, prompt_version=config.prompt_version, seed=config.seed)
    validation: list[LabelledTrajectory] = []
    if config.validation:
        validation = read_rows(config.validation, prompt_version=config.prompt_version, seed=config.seed)
        check_apart(train, validation, "validation")
    return train, validation


def prepare(config: SftConfig) -> Prepared:
    """Everything up to the first update: rows, model and what the rows are as tokens.

    Raises:
        InvalidInput: bad data or settings, or no row that can be trained on.
        WeightsUnavailable: the base weights are missing.
    """
    rows, held_out = load_rows(config)
    model, tokenizer, adapter = load_fresh(config)
    left_out: Counter[str] = Counter()
    train = sft_examples(rows, tokenizer, config, config.preferred, left_out)
    if not train:
        raise InvalidInput(f"no row can be trained on: {dict(left_out)}")
    validation = sft_examples(held_out, tokenizer, config, config.preferred, Counter())
    return Prepared(rows, held_out, model, tokenizer, train, validation, dict(left_out), adapter)


def run(config: SftConfig, out: Path) -> dict[str, Any]:
    """Trains, or goes on where an interrupted run stopped, and writes the judge to `out`.

    Returns:
        The report, as in `out/report.json`.

    Raises:
        InvalidInput: bad data or settings, or `out` holds another run; nothing has been written then.
        WeightsUnavailable: the base weights are missing.
    """
    ready = prepare(config)
    checkpoint = resume_from(out, config)
    trainer = _trainer(config, out, ready)
    trainer.train(resume_from_checkpoint=checkpoint)
    facts = {"rows": len(ready.train), "left_out": ready.left_out, "validation": _validated(config, ready, trainer)}
    kept = {one.row for one in ready.train}
    return finish(trainer, config, out, facts=facts, sources=sources_of(row for row in ready.rows if row.id in kept))


def _validated(config: SftConfig, ready: Prepared, trainer: Any) -> dict[str, Any]:
    """Held-out figures of the trained judge and, where an adapter can be switched off, of its base."""
    if not ready.validation or not judge_prompt(config.prompt_version).graded:
        return {}
    from reagent_training.train.sft_loss import digit_ids
    from reagent_training.train.validation import graded_scores, measured

    model = trainer.model
    arms = {"trained": nullcontext()} | ({"base": model.disable_adapter()} if config.lora else {})
    found = {}
    for name, arm in arms.items():
        with arm:
            scores = graded_scores(model, ready.validation, digit_ids(ready.tokenizer))
        found[name] = measured(ready.held_out, ready.validation, scores)
    return found


def _trainer(config: SftConfig, out: Path, ready: Prepared) -> Any:
    from trl import SFTConfig

    from reagent_training.train.sft_loss import Collator, JudgeSFTTrainer, digit_ids

    settings = SFTConfig(
        **trainer_settings(config, out),
        max_length=None,
        packing=False,
        remove_unused_columns=False,
        dataset_kwargs={"skip_prepare_dataset": True},
        eval_strategy="steps" if ready.validation and config.validate_every else "no",
        eval_steps=config.validate_every,
        per_device_eval_batch_size=config.optimiser.batch,
    )
    graded = judge_prompt(config.prompt_version).graded
    return JudgeSFTTrainer(
        model=ready.model,
        args=settings,
        processing_class=ready.tokenizer,
        train_dataset=_data_set(ready.train),
        eval_dataset=_data_set(ready.validation) if ready.validation else None,
        data_collator=Collator(ready.tokenizer.pad_token_id),
        peft_config=ready.adapter,
        grade_weight=config.grade_weight if graded else 0.0,
        digits=digit_ids(ready.tokenizer),
    )


def _data_set(examples: list[Example]) -> Any:
    from datasets import Dataset

    columns = ("input_ids", "labels", "grade_at", "score")
    return Dataset.from_dict({name: [getattr(one, name) for one in examples] for name in columns})
