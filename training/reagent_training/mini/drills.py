"""Drills in copying, for a compact base: what the first saying of a text foretells of the next."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

AT_ONCE = 32
"""Texts of a batch, which are of one length."""
_TOKENS = 32
"""Different tokens that they are made of."""


def drills_of(documents: Sequence[Sequence[int]], tokenizer: Any, count: int, seed: int) -> dict[str, list[Any]]:
    """Texts of digits and other common tokens in any order, said three times, learnt from the second time on.

    What is learnt is to find a token in the context and to say what came after it. A model comes to it suddenly, and
    the sooner the less there is to tell apart: few tokens, each once in a text.

    Args:
        documents: token ids; what is common in them is what has to be found in them.
        tokenizer: tells digits, and tokens that are no text.
        count: of the texts.
        seed: of what is drawn.

    Returns:
        Rows of `input_ids`, `labels` and `length`; each batch of texts has one length, and needs no padding.
    """
    rng = random.Random(seed)
    digits = tokenizer.convert_tokens_to_ids([*"0123456789"])
    other = {*digits, *tokenizer.all_special_ids, *tokenizer.added_tokens_decoder}
    told = Counter(token for document in documents for token in document if token not in other)
    few = [*digits, *(token for token, _ in told.most_common(_TOKENS - len(digits)))]
    rows: dict[str, list[Any]] = {"input_ids": [], "labels": [], "length": []}
    for place in range(count):
        if place % AT_ONCE == 0:
            long = rng.randrange(6, min(26, len(few) + 1))
        said = rng.sample(few, long)
        rows["input_ids"].append(said * 3)
        rows["labels"].append([-100] * (long + 1) + (said * 2)[1:])  # nothing says where the first repetition begins
        rows["length"].append(3 * long)
    return rows
