"""Scores of first attempts: of a judge, of their words, of an oracle, and none at all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reagent_benchmarks.judging.items import JudgedItem
from reagent_benchmarks.judging.judges import bench_judges
from reagent_benchmarks.judging.resume import earlier_ids, read_verdicts
from reagent_benchmarks.judging.runner import judge_missing
from reagent_benchmarks.revision_pairs import Pair
from reagent_sdk.calibration.baselines import bag_of_words
from reagent_sdk.errors import InvalidInput
from reagent_sdk.rendering import render_record

Scores = NDArray[np.float64]

ROOM = 16_000
"""Characters of a record that the words are taken from, as many as the embedded judge reads."""


def unjudged(pairs: Sequence[Pair]) -> dict[str, Scores]:
    """Scores that cost nothing, each [n]: the same for all, cross-fitted by the words, and the label itself."""
    right = np.array([pair.first for pair in pairs])
    texts = [render_record(pair.task, pair.trajectory, max_chars=ROOM).text for pair in pairs]
    return {
        "no score": np.full(len(pairs), 0.5),
        "bag of words": bag_of_words(texts, right, [pair.group for pair in pairs]),
        "oracle": right.astype(np.float64),
    }


async def judged(pairs: Sequence[Pair], spec: str, verdicts: Path, *, seed: int) -> Scores:
    """A judge's scores, NaN where it gave none. Verdicts are kept in a file; what is in it is not asked for again.

    Args:
        pairs: whose first attempts are judged.
        spec: the judge.
        verdicts: the file, as `reagent score` writes it.
        seed: of the codes that frame the records.

    Returns:
        Scores, [n].

    Raises:
        InvalidInput: an unknown judge, or a file that holds something else.
        WeightsUnavailable: the judge's weights are missing.
    """
    judge = bench_judges(spec, seed=seed, repeats=1, max_chars=None)[0].judge
    items = [
        JudgedItem(pair.id, pair.group, pair.dataset, pair.task, pair.trajectory, label=pair.first) for pair in pairs
    ]
    try:
        known = earlier_ids(verdicts, judge.name)
        if not await judge_missing([judge], items, verdicts, known, concurrency=1):
            raise InvalidInput(f"the judge {spec} is unavailable; the verdicts so far are in {verdicts}")
    finally:
        await judge.aclose()
    heard = read_verdicts(verdicts)
    return np.array([heard[pair.id].score for pair in pairs], dtype=np.float64)
