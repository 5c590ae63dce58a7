"""The comparison of step times runs both trainers on one shape and tells the ratio of their steps."""

from __future__ import annotations

from pathlib import Path

import pytest
from reagent_training.agent_rl.made_model import Shape, words, words_tokenizer
from reagent_training.agent_rl.step_time import measure
from reagent_training.agent_rl.taking_turns import compared

# peft asks transformers for an attribute by its old name
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")


def test_both_take_steps_on_the_same_shape(tmp_path: Path) -> None:
    shape = Shape(rows=4, group=4, question=6, completion=8, vocabulary=300, hidden=32, layers=1)
    told = measure(shape, steps=2, seed=0, folder=tmp_path)
    first, revision = told["prompts"]
    assert first > shape.question
    assert revision > first + shape.completion
    assert (told["tokens"], told["steps"]) == (32, 2)
    for kind in ("cpu", "wall"):
        low, high = told[kind]["interval"]
        assert 0 < low <= told[kind]["ratio"] <= high
        assert min(told[kind]["ours"], told[kind]["stock"]) >= 0


def test_ratios_are_of_neighbouring_steps_after_the_first() -> None:
    ours, stock = [(9.0, 9.0), (1.0, 2.0), (2.0, 4.0), (4.0, 8.0)], [(1.0, 1.0), (1.0, 1.0), (2.0, 2.0), (2.0, 4.0)]
    assert compared(ours, stock, 0, 0)["ratio"] == 1.0
    assert compared(ours, stock, 1, 0) == {"ours": 4.0, "stock": 2.0, "ratio": 2.0, "interval": [2.0, 2.0]}


def test_a_word_is_a_token() -> None:
    made = words_tokenizer(50)
    ids = made(words(40))["input_ids"]
    assert len(ids) == 40
    assert made.decode(ids) == words(40)
