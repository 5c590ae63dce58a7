"""Which items are judged, and in which order."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from random import Random

from reagent_benchmarks.judging.items import JudgedItem


def sampled(items: Sequence[JudgedItem], limit: int | None, seed: int) -> list[JudgedItem]:
    """A random sample, in random order, so that nothing depends on where an item stands or on which side it is.

    Whole questions are drawn until there are `limit` items, or pairs where the data set has pairs; the last question
    is cut to fit. The labels play no part.

    Args:
        items: all of them.
        limit: how many; None takes all.
        seed: of the draw and of the order.
    """
    random = Random(seed)
    units: dict[str, dict[str, list[JudgedItem]]] = {}
    for item in items:
        units.setdefault(item.group, {}).setdefault(item.pair or item.id, []).append(item)
    groups = sorted(units)
    random.shuffle(groups)
    drawn = [unit for group in groups for unit in units[group].values()][:limit]
    chosen = [item for unit in drawn for item in unit]
    random.shuffle(chosen)
    return chosen


def fingerprint(items: Sequence[JudgedItem]) -> str:
    """SHA-256 of what is judged and of its labels: two runs with the same one judge the same."""
    digest = hashlib.sha256()
    for item in items:
        task = item.task.model_dump_json(exclude={"id"})
        for part in (item.id, item.group, str(item.label), task, item.trajectory.model_dump_json()):
            digest.update(f"{len(part)}:{part}".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
