"""What rewards hold a reply against: a row's label, its right answers, and the rows that it is compared with."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from reagent_training.data.answers import REFERENCE
from reagent_training.data.record import LabelledTrajectory
from reagent_training.train.grpo_config import RewardSettings


def label_of(row: LabelledTrajectory, settings: RewardSettings) -> float | None:
    """What a row's score is held against, in [0, 1]; None without such a label."""
    if settings.label == "score":
        return row.score
    return None if row.correct is None else float(row.correct)


def order_of(row: LabelledTrajectory, settings: RewardSettings) -> float | None:
    """Where a row stands among those that it is compared with: by preference in a pair, else by its label."""
    return float(row.preferred) if row.preferred is not None else label_of(row, settings)


def references_of(row: LabelledTrajectory) -> tuple[str, ...]:
    """The right answers, where the row knows them."""
    listed = row.metadata.get(REFERENCE)
    return tuple(str(one) for one in listed) if isinstance(listed, list) else ()


def units_of(rows: Iterable[LabelledTrajectory]) -> dict[str, list[LabelledTrajectory]]:
    """Rows by what they are compared within: the preference pair, else the question."""
    units: dict[str, list[LabelledTrajectory]] = defaultdict(list)
    for row in rows:
        units[unit_of(row)].append(row)
    return units


def unit_of(row: LabelledTrajectory) -> str:
    """Name of a row's pair or question."""
    return f"pair {row.pair}" if row.pair else f"question {row.group}"


def comparable(row: LabelledTrajectory, unit: Iterable[LabelledTrajectory], settings: RewardSettings) -> bool:
    """Whether a unit holds a row that should score differently."""
    mine = order_of(row, settings)
    return mine is not None and any(order_of(other, settings) not in (None, mine) for other in unit)
