"""Scores of held-out rows straight from the model in training: one forward pass up to the grade, no text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reagent_training.data.record import LabelledTrajectory
from reagent_training.train.examples import Example


def graded_scores(model: Any, examples: Sequence[Example], digits: Sequence[int]) -> list[float]:
    """The expected score of each example under a graded prompt, in [0, 1]: E[d] / 9 over the ten digits.

    Args:
        model: a causal language model, in evaluation mode or not; its mode is restored.
        examples: with `grade_at`.
        digits: token ids of the ten digits.
    """
    import torch

    was_training = model.training
    model.eval()
    values = torch.arange(10.0)
    scores = []
    with torch.inference_mode():
        for one in examples:
            ids = torch.tensor([one.input_ids[: one.grade_at]], device=model.device)
            logits = model(input_ids=ids, use_cache=False, logits_to_keep=1).logits[0, -1].float().cpu()
            scores.append(float((logits[list(digits)].softmax(-1) * values).sum() / 9))
    model.train(was_training)
    return scores


def measured(
    rows: Sequence[LabelledTrajectory], examples: Sequence[Example], scores: Sequence[float]
) -> dict[str, Any]:
    """Figures of the scores: rows, mean squared error against the target, and AUROC where outcomes are known."""
    import numpy as np

    from reagent_sdk.calibration.metrics import auroc

    outcome = {row.id: row.correct if row.preferred is None else row.preferred for row in rows}
    judged = list(zip(examples, scores, strict=True))
    told = [(label, score) for one, score in judged if (label := outcome[one.row]) is not None]
    area = auroc(*map(np.array, zip(*told, strict=True))) if told else None
    error = float(np.mean([(score - one.score) ** 2 for one, score in judged])) if judged else None
    return {"rows": len(judged), "squared error": error, "AUROC": area}
