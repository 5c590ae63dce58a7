"""Labelled trajectories as judges are measured on them."""

from __future__ import annotations

from collections.abc import Sequence

from reagent_benchmarks.judging.items import JudgedItem

from reagent_training.data.record import LabelledTrajectory


def items_of(rows: Sequence[LabelledTrajectory]) -> list[JudgedItem]:
    """Rows as a benchmark takes them; those without an outcome or a preference are left out."""
    return [
        JudgedItem(
            id=row.id,
            group=row.group,
            part=row.source,
            task=row.task,
            trajectory=row.trajectory,
            label=bool(row.correct if row.preferred is None else row.preferred),
            pair=row.pair,
            steps={step.message: step.label for step in row.steps},
        )
        for row in rows
        if row.correct is not None or row.preferred is not None
    ]
