"""What all recipes share around TRL's trainers: settings, checkpoints that go on exactly, what is left at the end."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from reagent_sdk import models
from reagent_sdk.errors import InvalidInput
from reagent_sdk.models.manifest import Manifest, write_manifest
from reagent_sdk.replacing import replacing
from reagent_training.data.record import LabelledTrajectory
from reagent_training.train.config import JudgeConfig, RunConfig
from reagent_training.train.report import write_report

CHECKPOINTS = "checkpoints"
PLAN = "plan.json"


def trainer_settings(config: RunConfig, out: Path) -> dict[str, Any]:
    """The part of a trainer's arguments that does not depend on the recipe."""
    how = config.optimiser
    return {
        "output_dir": str(out / CHECKPOINTS),
        "run_name": config.name,
        "per_device_train_batch_size": how.batch,
        "gradient_accumulation_steps": how.accumulate,
        "num_train_epochs": how.epochs,
        "max_steps": how.max_steps or -1,
        "learning_rate": how.learning_rate,
        "lr_scheduler_type": how.schedule,
        "warmup_steps": how.warmup,
        "weight_decay": how.weight_decay,
        "max_grad_norm": how.clip,
        "seed": config.seed,
        "data_seed": config.seed,
        "logging_steps": config.log_every,
        "logging_first_step": True,
        "save_strategy": "steps",
        "save_steps": config.save_every,
        "save_total_limit": config.keep_checkpoints,
        "disable_tqdm": without_bar(),
        "report_to": list(config.trackers) or "none",
        "use_cpu": config.device == "cpu",
        "bf16": config.dtype == "bfloat16" and config.device != "cpu",
        "activation_checkpointing": config.activation_checkpointing,
        "dataloader_pin_memory": config.device != "cpu",
    }


def without_bar() -> bool:
    """A bar for people, lines for files. Left alone, transformers goes by its verbosity, which commands lower."""
    return not sys.stderr.isatty()


def world_size() -> int:
    """Processes that train together, as torchrun and accelerate tell it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """Which of them this one is, from 0."""
    return int(os.environ.get("RANK", "0"))


def check_processes(trainer: Any) -> None:
    """Makes sure that all started processes train together: some launchers silently let each train alone.

    Raises:
        RuntimeError: they do not.
    """
    together = trainer.accelerator.num_processes
    if together != world_size():
        raise RuntimeError(
            f"{world_size()} processes were started and {together} train together; start them with "
            "`torchrun --nproc_per_node N -m reagent_training train ...`"
        )


def fingerprint(config: RunConfig) -> str:
    """A short name for settings that must not change when a run goes on."""
    fixed = config.model_dump(mode="json", exclude={"trackers", "keep_checkpoints"})
    return hashlib.sha256(json.dumps(fixed, sort_keys=True).encode()).hexdigest()[:16]


def resume_from(out: Path, config: RunConfig) -> str | None:
    """The last whole checkpoint of an earlier run of the same settings; None for a fresh start.

    Raises:
        InvalidInput: `out` holds a run of other settings.
    """
    plan = out / PLAN
    plan.parent.mkdir(parents=True, exist_ok=True)
    mine = {"fingerprint": fingerprint(config), "settings": config.model_dump(mode="json")}
    if plan.is_file():
        if json.loads(plan.read_text(encoding="utf-8"))["fingerprint"] != mine["fingerprint"]:
            raise InvalidInput(f"{out} holds a run with other settings; name another folder, or delete it")
    elif rank() == 0:
        with replacing(plan) as file:  # other processes look at it at the same time
            file.write(json.dumps(mine, indent=2).encode() + b"\n")
    return last_checkpoint(out)


def last_checkpoint(out: Path) -> str | None:
    """The last whole checkpoint of a run; None without any."""
    whole = whole_checkpoints(out)
    return str(whole[max(whole)]) if whole else None


def whole_checkpoints(out: Path) -> dict[int, Path]:
    """The checkpoints of a run that were written to their end, by update, in order.

    Their state comes last, so one that a kill cut off has none.
    """
    found = [(int(one.name.rpartition("-")[2]), one) for one in (out / CHECKPOINTS).glob("checkpoint-*")]
    return {update: folder for update, folder in sorted(found) if _is_whole(folder)}


def _is_whole(checkpoint: Path) -> bool:
    try:
        return isinstance(json.loads((checkpoint / "trainer_state.json").read_bytes()), dict)
    except (OSError, ValueError):
        return False


def finish(
    trainer: Any,
    config: RunConfig,
    out: Path,
    *,
    facts: Mapping[str, Any],
    sources: Mapping[str, Any],
) -> dict[str, Any]:
    """Writes weights, tokenizer, `reagent.json`, report, curves and model card; returns the report.

    Args:
        trainer: the trainer, done.
        config: the run's.
        out: the folder of the weights.
        facts: of the recipe, for the report.
        sources: what was trained on, as :func:`sources_of` tells it.
    """
    trainer.save_model(str(out))  # by all processes: each may hold a part of the weights
    if not trainer.is_world_process_zero():
        return {"name": config.name, "log": trainer.state.log_history}
    trainer.processing_class.save_pretrained(str(out))
    _name_base(out, config.base)
    (out / "training_args.bin").unlink(missing_ok=True)  # a pickle, and nobody needs it
    report = write_report(out, config, {"sources": sources, **facts}, trainer.state.log_history)
    write_manifest(
        out,
        Manifest(
            name=config.name,
            role="judge" if isinstance(config, JudgeConfig) else "agent",
            prompt_version=getattr(config, "prompt_version", None),
            max_chars=getattr(config, "max_chars", None),
            instructions=_instructions(config),
            base_model=config.base,
            recipe=f"reagent train {config.recipe}",
            data=tuple(sources),
        ),
    )
    return report


def _instructions(config: RunConfig) -> str:
    """What an agent was told while it learnt; it is told the same when it is served."""
    told = getattr(config, "instructions", None) or getattr(getattr(config, "rollout", None), "instructions", "")
    return str(told)


def sources_of(rows: Iterable[LabelledTrajectory]) -> dict[str, dict[str, Any]]:
    """Source -> how many rows, who labelled them, under which licence."""
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        of = found.setdefault(row.source, {"rows": 0, "labelled_by": [], "licence": row.licence})
        of["rows"] += 1
        if row.label_source not in of["labelled_by"]:
            of["labelled_by"].append(str(row.label_source))
    return dict(sorted(found.items()))


def _name_base(out: Path, base: str) -> None:
    """Names the base in an adapter's own file as others can find it, and not as a path of this machine."""
    file = out / "adapter_config.json"
    if not file.is_file():
        return
    settings = json.loads(file.read_text(encoding="utf-8"))
    known = models.known_base(base)
    settings["base_model_name_or_path"] = (known.hub_base if known else None) or base
    file.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
