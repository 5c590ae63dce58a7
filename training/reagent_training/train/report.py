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
from reagent_training.train.model_card import card

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
