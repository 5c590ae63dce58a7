"""Agent SFT, the cold start: an agent learns to call tools and to answer from work that came out right (stage 1).

rows -> the conversations that the SDK's tool-calling agent sends -> TRL's SFTTrainer, loss on the agent's own tokens
only -> weights.

It goes beyond the paper in one thing: it may also teach revisions after a critique (`revision_share`).
"""

from __future__ import annotations

from collections import Counter
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reagent_sdk.errors import InvalidInput
from reagent_training.agent_rl.dialogue import Dialogue
from reagent_training.agent_rl.lessons import agent_examples
from reagent_training.agent_rl.offered import Offered
from reagent_training.agent_rl.sft_config import AgentSftConfig
from reagent_training.data.record import LabelledTrajectory
from reagent_training.train.examples import IGNORED, Encoded
from reagent_training.train.rows import check_apart, read_rows
from reagent_training.train.running import finish, resume_from, sources_of, trainer_settings
from reagent_training.train.start import load_fresh


@dataclass(frozen=True)
class Prepared:
    """What a run works with.

    Attributes:
        rows: read from the training sets; `train` holds those that can be taught, as tokens, revisions last.
        model: the base.
        tokenizer: of the base.
        left_out: rows and revisions that are not trained on, by reason.
        adapter: the adapter as PEFT takes it; None trains all weights.
    """

    rows: list[LabelledTrajectory]
    model: Any
    tokenizer: Any
    train: list[Encoded]
    validation: list[Encoded]
    left_out: dict[str, int]
    adapter: Any = None


def prepare(config: AgentSftConfig) -> Prepared:
    """Everything up to the first update.

    Raises:
        InvalidInput: bad data or settings, a chat template that does not fit, or no row that can be trained on.
        WeightsUnavailable: the base weights are missing.
    """
    rows = read_rows(config.train, prompt_version=None, seed=config.seed)
    held_out: list[LabelledTrajectory] = []
    if config.validation:
        held_out = read_rows(config.validation, prompt_version=None, seed=config.seed)
        check_apart(rows, held_out, "validation")
    offered = Offered(config)
    model, tokenizer, adapter = load_fresh(config)
    dialogue, left_out = Dialogue(tokenizer), Counter[str]()
    train = agent_examples(rows, dialogue, config, offered, left_out)
    if not train:
        raise InvalidInput(f"no row can be trained on: {dict(left_out)}")
    validation = agent_examples(held_out, dialogue, config, offered, Counter())
    return Prepared(rows, model, tokenizer, train, validation, dict(left_out), adapter)


def run(config: AgentSftConfig, out: Path) -> dict[str, Any]:
    """Trains, or goes on where an interrupted run stopped, and writes the agent to `out`.

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
    kept = {one.row for one in ready.train}
    facts = {
        "rows": len(kept),
        "revisions": len(ready.train) - len(kept),
        "left_out": ready.left_out,
        "validation": _validated(config, ready, trainer.model),
    }
    return finish(trainer, config, out, facts=facts, sources=sources_of(row for row in ready.rows if row.id in kept))


def _trainer(config: AgentSftConfig, out: Path, ready: Prepared) -> Any:
    from trl import SFTConfig, SFTTrainer

    settings = SFTConfig(
        **trainer_settings(config, out),
        max_length=None,
        packing=False,
        dataset_kwargs={"skip_prepare_dataset": True},
        eval_strategy="steps" if ready.validation and config.validate_every else "no",
        eval_steps=config.validate_every,
        per_device_eval_batch_size=config.optimiser.batch,
    )
    return SFTTrainer(
        model=ready.model,
        args=settings,
        processing_class=ready.tokenizer,
        train_dataset=_data_set(ready.train),
        eval_dataset=_data_set(ready.validation) if ready.validation else None,
        peft_config=ready.adapter,
    )


def _data_set(examples: list[Encoded]) -> Any:
    from datasets import Dataset

    return Dataset.from_dict({name: [getattr(one, name) for one in examples] for name in ("input_ids", "labels")})


def _validated(config: AgentSftConfig, ready: Prepared, model: Any) -> dict[str, Any]:
    """Held-out figures of the trained agent and, where an adapter can be switched off, of its base."""
    if not ready.validation:
        return {}
    arms = {"trained": nullcontext()} | ({"base": model.disable_adapter()} if config.lora else {})
    found = {}
    for name, arm in arms.items():
        with arm:
            found[name] = _measured(model, ready.validation)
    return found


def _measured(model: Any, examples: list[Encoded]) -> dict[str, Any]:
    """Mean loss of the agent's own tokens, and the share of them that would have been the likeliest."""
    import torch

    was_training = model.training
    model.eval()
    loss, hits, count = 0.0, 0, 0
    with torch.inference_mode():
        for one in examples:
            ids, labels = (torch.tensor([of], device=model.device) for of in (one.input_ids, one.labels))
            places = (labels[0, 1:] != IGNORED).nonzero().flatten()
            logits = model(input_ids=ids, use_cache=False, logits_to_keep=places).logits[0].float()  # (own tokens, V)
            targets = labels[0, places + 1]
            loss += float(torch.nn.functional.cross_entropy(logits, targets, reduction="sum"))
            hits += int((logits.argmax(-1) == targets).sum())
            count += len(places)
    model.train(was_training)
    return {"rows": len(examples), "loss": loss / count, "token accuracy": hits / count}
