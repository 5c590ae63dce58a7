"""The grade head: a probe that finds what is there, written into an adapter that then tilts the grade as promised."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reagent_training.train import grade_head, rrm_sft
from reagent_training.train.config import Lora, Optimiser, SftConfig, Source
from reagent_training.train.examples import sft_examples
from reagent_training.train.probe import fit_probe, tilted
from reagent_training.train.sft_loss import digit_ids

from reagent_sdk.errors import InvalidInput

# transformers' own trainer still calls what it deprecates
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")


def made(n: int, signal: float, seed: int) -> tuple[Any, ...]:
    """Activations one direction of which tells the target, and a judge whose own grade tells nothing."""
    random = np.random.default_rng(seed)
    targets = random.choice([0.1, 0.9], n)
    rows = random.normal(size=(n, 40))
    rows[:, 3] += signal * (2 * targets - 1)
    others = random.normal(size=(4 * n, 40))
    own = np.log(np.full((n, 10), 0.1))
    return rows, others, own, targets, [f"q{i // 2}" for i in range(n)]


def test_a_probe_finds_what_is_there_and_nothing_where_nothing_is() -> None:
    rows, others, own, targets, groups = made(400, signal=1.5, seed=0)
    found = fit_probe(rows, others, own, targets, groups)
    right, wrong = found.held_out[targets > 0.5], found.held_out[targets < 0.5]
    assert np.mean(right[:, None] > wrong[None]) > 0.85
    assert abs(found.weights[3]) == np.abs(found.weights).max()
    assert np.std(others @ found.weights) < np.std(rows @ found.weights), "elsewhere the margin stays small"
    rows, others, own, targets, groups = made(400, signal=0.0, seed=1)
    nothing = fit_probe(rows, others, own, targets, groups)
    assert np.std(nothing.held_out) < 0.1, "noise must not become confidence"


def test_the_tilt_is_monotone_and_leaves_a_margin_of_zero_alone() -> None:
    own = np.log(np.random.default_rng(0).dirichlet(np.ones(10), size=5))
    scores = [tilted(own, np.full(5, margin), 2.0) for margin in (-2.0, -0.5, 0.0, 0.5, 2.0)]
    assert all((low < high).all() for low, high in itertools.pairwise(scores))
    assert scores[2] == pytest.approx(np.exp(own) @ np.arange(10) / 9)


@pytest.fixture(scope="module")
def judge(tiny_base: Path, sums: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[SftConfig, Path]:
    config = SftConfig(
        base=str(tiny_base),
        name="tiny",
        train=(Source(path=sums),),
        max_chars=1_000,
        device="cpu",
        lora=Lora(rank=4, alpha=8),
        optimiser=Optimiser(learning_rate=5e-3, batch=4, max_steps=3),
        trackers=(),
    )
    out = tmp_path_factory.mktemp("runs") / "judge"
    rrm_sft.run(config, out)
    return config, out


def test_the_written_head_tilts_the_grade_as_the_formula_says(judge: tuple[SftConfig, Path]) -> None:
    config, folder = judge
    model, tokenizer = grade_head.load_judge(folder, config)
    rows, _ = rrm_sft.load_rows(config)
    examples = sft_examples(rows, tokenizer, config, None, Counter())
    digits = digit_ids(tokenizer)
    before = grade_head.look(model, examples, digits)
    weights = np.random.default_rng(0).normal(size=before.activations.shape[1])
    weights /= np.std(before.activations @ weights) * 20  # small margins: the norm's own size hardly moves
    direction = grade_head.digit_direction(model, digits, before.rms)
    grade_head.add_rank_one(model, direction, weights)
    after = grade_head.look(model, examples, digits)
    expected = tilted(before.own, before.activations @ weights, 1.0)
    own = np.exp(after.own) @ np.arange(10) / 9 / np.exp(after.own).sum(1)
    moved = own - tilted(before.own, np.zeros(len(rows)), 1.0)
    promised = expected - tilted(before.own, np.zeros(len(rows)), 1.0)
    assert np.corrcoef(moved, promised)[0, 1] > 0.9
    assert np.abs(promised).max() > 1e-4


def test_a_rank_one_update_keeps_the_adapters_rank_and_says_what_was_lost(judge: tuple[SftConfig, Path]) -> None:
    config, folder = judge
    model, _ = grade_head.load_judge(folder, config)
    module = model.get_base_model().model.layers[-1].mlp.down_proj
    scale = module.scaling["default"]
    old = scale * (module.lora_B["default"].weight @ module.lora_A["default"].weight).detach().double().numpy()
    left, right = np.random.default_rng(1).normal(size=(2, 100))
    left, right = left[: old.shape[0]], right[: old.shape[1]]
    lost = grade_head.add_rank_one(model, left, right)
    new = scale * (module.lora_B["default"].weight @ module.lora_A["default"].weight).detach().double().numpy()
    whole = old + np.outer(left, right)
    assert module.lora_A["default"].weight.shape[0] == 4
    assert np.linalg.norm(new - whole) / np.linalg.norm(whole) == pytest.approx(lost, abs=1e-5)
    assert lost < 0.1


def test_a_folder_with_a_head_is_a_judge_and_says_what_the_head_brings(
    judge: tuple[SftConfig, Path], tmp_path: Path
) -> None:
    config, folder = judge
    told = grade_head.fit_grade_head(config, folder, tmp_path / "headed")
    assert told["rows"] == 24
    assert set(told["cross-fitted"]["sums"]) == {"before", "after"}
    names = {path.name for path in (tmp_path / "headed").iterdir()}
    assert {"reagent.json", "adapter_model.safetensors", "adapter_config.json", "tokenizer.json"} <= names
    assert "checkpoints" not in names
    with pytest.raises(InvalidInput, match="exists already"):
        grade_head.fit_grade_head(config, folder, tmp_path / "headed")
    with pytest.raises(InvalidInput, match="holds no adapter of a judge"):
        grade_head.fit_grade_head(config, tmp_path, tmp_path / "other")
