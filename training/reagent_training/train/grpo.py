"""What the recipes on GRPO share: prompts as TRL takes them, and the run from a checkpoint to finished weights."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reagent_sdk.errors import InvalidInput
from reagent_sdk.prompts import judge_prompt
from reagent_training.data.record import LabelledTrajectory
from reagent_training.train.batches import planned
from reagent_training.train.examples import encode_prompt, prompt_messages
from reagent_training.train.grpo_config import GrpoConfig
from reagent_training.train.grpo_settings import batch_size, generations, grpo_settings
from reagent_training.train.reward_rows import units_of
from reagent_training.train.running import finish, resume_from, sources_of
from reagent_training.train.start import Start, check_start, load_start

Reward = Callable[..., list[float | None]]


@dataclass(frozen=True)
class Prepared:
    """What a run works with.

    Attributes:
        rows: what is judged.
        prompts: chat messages for each row.
        start: the weights to be trained further, and their tokenizer.
        left_out: rows that are not trained on, by reason.
        notes: what the reader of the report should know.
    """

    rows: list[LabelledTrajectory]
    prompts: list[list[dict[str, str]]]
    start: Start
    left_out: dict[str, int]
    notes: list[str]


def prepared(config: GrpoConfig, rows: Sequence[LabelledTrajectory], left_out: Counter[str]) -> Prepared:
    """Everything up to the first update.

    Args:
        config: the recipe's.
        rows: what may be judged.
        left_out: what was left out of them before, by reason.

    Raises:
        InvalidInput: settings that do not go together, or no row that can be trained on.
        WeightsUnavailable: weights are missing.
    """
    if not rows:
        raise InvalidInput(f"no row can be trained on: {dict(left_out)}")
    batch_size(config)
    if warning := check_start(config):
        warnings.warn(warning, RuntimeWarning, stacklevel=2)
    start = load_start(config)
    kept, prompts = as_prompts(rows, start.tokenizer, config, left_out)
    if not kept:
        raise InvalidInput(f"no row can be trained on: {dict(left_out)}")
    return Prepared(kept, prompts, start, dict(left_out), [warning] if warning else [])


def as_prompts(
    rows: Iterable[LabelledTrajectory], tokenizer: Any, config: GrpoConfig, left_out: Counter[str]
) -> tuple[list[LabelledTrajectory], list[list[dict[str, str]]]]:
    """The rows that fit, and for each the chat messages that the SDK sends: TRL makes the very same ids of them."""
    prompt, kept, prompts = judge_prompt(config.prompt_version), [], []
    for row in rows:
        messages = prompt_messages(row, prompt, max_chars=config.max_chars, seed=config.seed)
        if len(encode_prompt(tokenizer, messages)) + config.rollout.max_new_tokens > config.max_tokens:
            left_out[f"more than {config.max_tokens} tokens with the reply"] += 1
            continue
        kept.append(row)
        prompts.append([{"role": message.role, "content": message.text} for message in messages])
    return kept, prompts


def trained(config: GrpoConfig, out: Path, ready: Prepared, reward: Reward, *, together: bool) -> dict[str, Any]:
    """Trains a judge on a reward, or goes on where an interrupted run stopped, and writes it to `out`.

    Args:
        config: the recipe's.
        out: the folder of the run.
        ready: what the run works with.
        reward: as TRL calls it, with the column `row`.
        together: whether the rows of a question stay in one batch.

    Returns:
        The report, as in `out/report.json`.

    Raises:
        InvalidInput: `out` holds another run.
    """
    from trl import GRPOConfig, GRPOTrainer

    checkpoint = resume_from(out, config)
    trainer = GRPOTrainer(
        model=ready.start.model,
        reward_funcs=[reward],
        args=GRPOConfig(**grpo_settings(config, out, len(ready.rows))),
        train_dataset=_data_set(config, ready, together=together),
        processing_class=ready.start.tokenizer,
        peft_config=ready.start.new_adapter,
    )
    trainer.train(resume_from_checkpoint=checkpoint)
    if "ref" in getattr(trainer.model, "peft_config", {}):  # what beta measures from is no part of the judge
        trainer.model.delete_adapter("ref")
    facts = {"rows": len(ready.rows), "left_out": ready.left_out, "notes": ready.notes}
    return finish(trainer, config, out, facts=facts, sources=sources_of(ready.rows))


def _data_set(config: GrpoConfig, ready: Prepared, *, together: bool) -> Any:
    """All rows of the run in the order of its plan; see `batches`."""
    from datasets import Dataset

    places = {row.id: place for place, row in enumerate(ready.rows)}
    units = [[place] for place in places.values()]
    if together:  # rows come shuffled, so that a unit that has to be split keeps both kinds of work on each side
        units = [[places[row.id] for row in unit] for unit in units_of(ready.rows).values()]
    plan = planned(units, size=batch_size(config), count=generations(config, len(places)), seed=config.seed)
    unique = Dataset.from_list(
        [{"prompt": prompt, "row": row.id} for row, prompt in zip(ready.rows, ready.prompts, strict=True)]
    )
    return unique.select([place for batch in plan for place in batch])
