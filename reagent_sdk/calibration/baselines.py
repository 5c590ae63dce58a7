"""What a judge has to beat: a constant, the length of the record, and its words, learnt from the same labels.

Each returns out-of-fold probabilities: the rows of a group (a question) are predicted by a model that was fitted on
other groups only. They had labels to learn from; a judge that was never trained on such labels had none.

The folds have different base rates, and the fold with more right work has the lower one around it. Out-of-fold
guesses, pooled as they are, therefore rank backwards: words that tell nothing get an AUROC near 0.3 with 30 labels. For
figures of ranking take them relative to the base rate, see :func:`relative`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from reagent_sdk.calibration.metrics import Groups, Labels, Scores, numbered
from reagent_sdk.errors import InvalidInput

FOLDS = 5
_WORD_OR_SIGN = r"(?u)\w+|[^\w\s]"
"""Signs count: digits, operators and brackets tell much about maths and code, and no text is without a token."""


def group_folds(
    groups: Groups, *, folds: int = FOLDS, seed: int = 0
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Rows to fit on and rows to predict, fold by fold; no group is in both, and each row is predicted once.

    Args:
        groups: (n,) the group of each row.
        folds: how many, at most; never more than there are groups.
        seed: of the order in which groups are dealt out.

    Raises:
        InvalidInput: there are fewer than two groups.
    """
    numbers = numbered(groups)
    count = len(np.unique(numbers))
    if count < 2:
        raise InvalidInput(f"cross-fitting needs labels on at least two questions, and there are {count}")
    splitter = GroupKFold(n_splits=min(folds, count), shuffle=True, random_state=seed)
    yield from splitter.split(numbers, groups=numbers)


def constant(labels: Labels, groups: Groups, *, seed: int = 0) -> Scores:
    """The share of right work in the other folds, whatever the record.

    Args:
        labels: bool (n,), True for right work.
        groups: (n,) the question of each row.
        seed: of the folds.

    Returns:
        Probabilities (n,) that the work is right.
    """
    guessed = np.empty(len(labels))
    for fit, held_out in group_folds(groups, seed=seed):
        guessed[held_out] = labels[fit].mean()
    return guessed


def relative(guessed: Scores, constants: Scores) -> Scores:
    """Out-of-fold guesses without the base rates of their folds, (n,) in [0, 1]: for ranking, no probabilities.

    The odds of a guess are divided by those of the constant; a guess that is the constant becomes 0.5.

    Args:
        guessed: probabilities of `length` or `bag_of_words`, (n,).
        constants: those of `constant` for the same labels, groups and seed, (n,).
    """
    least = 1e-12
    near, base = np.clip(guessed, least, 1 - least), np.clip(constants, least, 1 - least)
    odds: Scores = near / (1 - near) * (1 - base) / base
    return odds / (1 + odds)


def length(texts: Sequence[str], labels: Labels, groups: Groups, *, seed: int = 0) -> Scores:
    """Logistic regression on the logarithm of the record's length.

    Args:
        texts: n rendered records.
        labels: bool (n,), True for right work.
        groups: (n,) the question of each row.
        seed: of the folds.

    Returns:
        Probabilities (n,) that the work is right.
    """
    sizes = np.log1p([[len(text)] for text in texts])
    return _cross_fitted(lambda: make_pipeline(StandardScaler(), LogisticRegression()), sizes, labels, groups, seed)


def bag_of_words(texts: Sequence[str], labels: Labels, groups: Groups, *, seed: int = 0) -> Scores:
    """Logistic regression on tf-idf weights of the record's words, the order of words ignored.

    Args:
        texts: n rendered records.
        labels: bool (n,), True for right work.
        groups: (n,) the question of each row.
        seed: of the folds.

    Returns:
        Probabilities (n,) that the work is right.
    """

    return _cross_fitted(words_model, np.array(texts, dtype=object), labels, groups, seed)


def words_model() -> Any:
    """The model of :func:`bag_of_words`, not yet fitted: for those who have a training and a test part."""
    words = TfidfVectorizer(sublinear_tf=True, token_pattern=_WORD_OR_SIGN, max_features=20_000)
    return make_pipeline(words, LogisticRegression(max_iter=1000))


def _cross_fitted(new: Callable[[], Any], rows: NDArray[Any], labels: Labels, groups: Groups, seed: int) -> Scores:
    """Out-of-fold probabilities of the models that `new` makes; the base rate where the other folds hold one class."""
    guessed = np.empty(len(labels))
    for fit, held_out in group_folds(groups, seed=seed):
        if labels[fit].all() or not labels[fit].any():
            guessed[held_out] = labels[fit].mean()
        else:
            model = new().fit(rows[fit], labels[fit])
            guessed[held_out] = model.predict_proba(rows[held_out])[:, list(model.classes_).index(True)]
    return guessed
