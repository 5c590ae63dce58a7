"""Labelled work in the shape that `reagent calibrate` and `reagent score` read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reagent_benchmarks.judging.items import JudgedItem


def export(items: Sequence[JudgedItem], file: Path) -> int:
    """Writes items, one a line; returns how many.

    The file holds the work of the data set. Mind its licence before you pass it on.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", encoding="utf-8") as lines:
        for item in items:
            lines.write(json.dumps(exported(item)) + "\n")
    return len(items)


def exported(item: JudgedItem) -> dict[str, Any]:
    """One item: what the judge is given, the label and the question it belongs to."""
    messages = [message.to_openai() for message in (*item.task.messages, *item.trajectory.messages)]
    return {
        "id": item.id,
        "question": item.task.question,
        "messages": messages,
        "answer": item.trajectory.answer,
        "label": item.label,
        "group": item.group,
    }
