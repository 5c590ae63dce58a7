"""What a finished run leaves beside its weights: report, curves and model card."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from reagent_sdk.replacing import replacing
from reagent_training.train.config import RunConfig
from reagent_training.train.curves import draw

REPORT, CURVES, CARD = "report.json", "curves.png", "README.md"


def write_report(out: Path, config: RunConfig, facts: Mapping[str, Any], log: list[dict[str, Any]]) -> dict[str, Any]:
    """Writes report.json, curves.png and the model card; returns the report.

    Args:
        out: the folder of the weights.
        config: the run's.
        facts: of the run: rows, tokens, sources, evaluation, by name; whatever can be written as JSON.
        log: what the trainer logged, an entry for each time.
    """
    report = {
        "name": config.name,
        "recipe": config.recipe,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        **facts,
        "settings": config.model_dump(mode="json"),
        "log": log,
    }
    with replacing(out / REPORT) as draft:
        draft.write(json.dumps(report, indent=1).encode() + b"\n")
    draw(log, out / CURVES, f"{config.name}: {config.recipe}")
    with replacing(out / CARD) as draft:
        draft.write(card(config, facts, log).encode())
    return report


def card(config: RunConfig, facts: Mapping[str, Any], log: list[dict[str, Any]]) -> str:
    """The model card: what it is, what it was made of, what was measured, what it must not be used for."""
    sources = facts.get("sources", {})
    lines = [
        f"# {config.name}",
        "",
        f"A judge of agents' work for Reagent SDK: `{config.base}` trained with `reagent train {config.recipe}`, to be "
        f"asked under the prompt `{config.prompt_version}`.",
        "",
        "## Made of",
        "",
        "| source | rows | labelled by | licence |",
        "|---|---|---|---|",
    ]
    for name, of in sources.items():
        lines.append(f"| {name} | {of['rows']} | {', '.join(of['labelled_by'])} | {of['licence'] or 'none named'} |")
    how = config.optimiser
    kind = _kind(config)
    last: dict[str, Any] = next((entry for entry in reversed(log) if "loss" in entry), {})
    lines += [
        "",
        f"{kind}; learning rate {how.learning_rate:g}, {last.get('step', 0)} updates of "
        f"{how.batch * how.accumulate} rows, seed {config.seed}, records cut to {config.max_chars} characters.",
        "",
        "![curves](curves.png)",
        "",
        "## Measured",
        "",
        *_evaluation(facts.get("validation") or {}),
        "## Limits",
        "",
        "- A score is a guess about the process, made from the record alone; calibrate it on labelled work of your own "
        "with `reagent calibrate` before you let it decide anything.",
        "- It has learnt from the sources above and nothing else; other agents, tools and languages are new to it.",
        "- Text that argues well can persuade it.",
        "",
    ]
    return "\n".join(lines)


def _kind(config: RunConfig) -> str:
    """What was trained."""
    init = getattr(config, "init", None)
    if init is not None:
        return f"The judge `{init.name}`, trained further"
    if config.lora is None:
        return "All weights"
    return f"LoRA of rank {config.lora.rank} on the layers from {config.lora.first_layer} on"


def _evaluation(measured: Mapping[str, Any]) -> list[str]:
    if not measured:
        return ["Nothing was held out from this run; measure it with `reagent train compare`.", ""]
    lines = ["| on held-out rows | " + " | ".join(measured) + " |", "|---|" + "---|" * len(measured)]
    names = next(iter(measured.values()))
    lines += [f"| {name} | " + " | ".join(shown(of.get(name)) for of in measured.values()) + " |" for name in names]
    return [*lines, ""]


def shown(value: object) -> str:
    """A figure for people; "-" where there is none."""
    return f"{value:.3f}" if isinstance(value, float) else "-" if value is None else str(value)
