"""How much of the labels shows in the form of the work: what a judge has to beat, and a generator to keep low."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import Field

from reagent_sdk.frozen import Frozen
from reagent_training.data.record import LabelledTrajectory
from reagent_training.synth.labels import texts_of

_LEAST_GROUPS = 10


class Baselines(Frozen):
    """AUROC of right against wrong work, out of fold by the question; 0.5 tells nothing."""

    form: float = Field(description="length of the record, number of calls and number of messages, with their products")
    words: float = Field(description="bag of words of the record")
    base_rate: float = Field(description="share of right work")


def measure(rows: Sequence[LabelledTrajectory]) -> Baselines | None:
    """The baselines; None for a handful of questions, or where all work is right or all is wrong.

    Raises:
        ImportError: the `calibrate` extra is not installed.
    """
    import numpy as np
    from sklearn.metrics import roc_auc_score

    from reagent_sdk.calibration.baselines import bag_of_words, constant, relative

    labels, groups = np.array([bool(row.correct) for row in rows]), [row.group for row in rows]
    if len(set(groups)) < _LEAST_GROUPS or labels.all() or not labels.any():
        return None
    texts = texts_of(rows)
    base = constant(labels, groups)
    return Baselines(
        form=float(roc_auc_score(labels, relative(_form(texts, rows, labels, groups), base))),
        words=float(roc_auc_score(labels, relative(bag_of_words(texts, labels, groups), base))),
        base_rate=float(labels.mean()),
    )


def _form(texts: list[str], rows: Sequence[LabelledTrajectory], labels: Any, groups: list[str]) -> Any:
    """Out-of-fold probabilities (n,) of a logistic regression on the form alone."""
    import numpy as np
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import PolynomialFeatures, StandardScaler

    from reagent_sdk.calibration.baselines import group_folds

    calls = [sum(len(message.tool_calls or ()) for message in row.trajectory.messages) for row in rows]
    counts = zip(texts, calls, rows, strict=True)
    features = np.array([[np.log1p(len(text)), made, len(row.trajectory.messages)] for text, made, row in counts])
    guessed = np.empty(len(rows))
    for fit, held_out in group_folds(groups):
        model = make_pipeline(StandardScaler(), PolynomialFeatures(2), LogisticRegression(max_iter=1000))
        model.fit(features[fit], labels[fit])
        guessed[held_out] = model.predict_proba(features[held_out])[:, 1]
    return guessed
