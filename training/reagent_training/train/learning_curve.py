"""How a judge grew with the rows it saw: each checkpoint of a run, measured on held-out rows from its grade alone."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from reagent_benchmarks.judging.figures import measure

from reagent_sdk.calibration.card import Estimate
from reagent_sdk.frozen import Frozen
from reagent_sdk.replacing import replacing
from reagent_training.data.items import items_of
from reagent_training.data.record import LabelledTrajectory
from reagent_training.train.checkpoints import Stop, weights_at
from reagent_training.train.config import SftConfig
from reagent_training.train.examples import Example, sft_examples
from reagent_training.train.weights import load_base, load_tokenizer

_NO_WORDS = {"score": 0.5, "critique": None, "analysis": None}
"""What the targets of a held-out row become: only the prompt and the place of its grade are used."""


class Point(Frozen):
    """One checkpoint on one source.

    Attributes:
        update: the checkpoint; 0 is the base, which learnt nothing.
        rows: rows that it had learnt from, an epoch's rows counted again in the next one.
        source: the data set.
        n: held-out rows that it graded.
        figures: metric -> value with its interval, as :func:`measure` tells them.
    """

    update: int
    rows: int
    source: str
    n: int
    figures: dict[str, Estimate]


def leading(figures: Mapping[str, Estimate]) -> str:
    """The figure to look at: AUROC; of preference pairs, which have no outcomes, how often the better side is found."""
    return "auroc" if "brier" in figures else "pairwise"


def grade(
    config: SftConfig,
    stops: Sequence[Stop],
    rows: Sequence[LabelledTrajectory],
    out: Path,
    moved: Callable[[int], None],
) -> dict[int, dict[str, float]]:
    """The scores of held-out rows at each stop: update -> row id -> score in [0, 1].

    Each stop's scores are kept in `out`; those that are there already are read and not asked for again.

    Args:
        config: the run's.
        stops: of the run.
        rows: held out.
        out: a folder.
        moved: called with the update after each row that was graded.

    Raises:
        WeightsUnavailable: the base cannot be loaded.
    """
    from reagent_training.train.sft_loss import digit_ids
    from reagent_training.train.validation import graded_scores

    base, tokenizer = load_base(config)
    asked = [row.model_copy(update=_NO_WORDS) for row in rows]
    examples = sft_examples(asked, tokenizer, config, None, Counter())
    digits = digit_ids(tokenizer)
    found = {}
    for update, _, folder in stops:
        kept = out / f"scores-{update:06}-{_name(config, examples)}.json"
        if not kept.is_file():
            with weights_at(config, base, folder) as model:
                scores = {}
                for one in examples:
                    scores[one.row] = graded_scores(model, [one], digits)[0]
                    moved(update)
            with replacing(kept) as draft:
                draft.write(json.dumps(scores).encode())
        found[update] = json.loads(kept.read_bytes())
    return found


def points(
    stops: Sequence[Stop],
    scores: dict[int, dict[str, float]],
    rows: Sequence[LabelledTrajectory],
    learnt: int,
    *,
    seed: int,
) -> list[Point]:
    """Scores against labels, source by source.

    Args:
        stops: of the run.
        scores: as :func:`grade` tells them.
        rows: held out.
        learnt: rows of an epoch.
        seed: of the intervals.
    """
    found = []
    for source in sorted({row.source for row in rows}):
        items = items_of([row for row in rows if row.source == source])
        for update, epochs, _ in stops:
            numbers = np.array([scores[update].get(item.id, np.nan) for item in items])
            graded = int((~np.isnan(numbers)).sum())
            if graded:
                figures = measure(items, numbers, seed=seed)
                found.append(
                    Point(update=update, rows=round(epochs * learnt), source=source, n=graded, figures=figures)
                )
    return found


def learnt_from(config: SftConfig, rows: Sequence[LabelledTrajectory]) -> int:
    """Rows of an epoch: those that are not left out."""
    return len(sft_examples(rows, load_tokenizer(config.base), config, config.preferred, Counter()))


def _name(config: SftConfig, examples: Sequence[Example]) -> str:
    """Of what was asked: scores of other rows or of another room are none of these."""
    told = json.dumps([config.model_dump(mode="json"), [(one.row, one.input_ids) for one in examples]])
    return hashlib.sha256(told.encode()).hexdigest()[:12]
