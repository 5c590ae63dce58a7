"""`reagent train learning-curve`: the checkpoints of a run on rows that it never saw."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from commands import Commands
from reagent_training.cli_train import app
from reagent_training.data.files import read_set, write_set
from reagent_training.train import rrm_sft
from reagent_training.train.config import Lora, Optimiser, SftConfig, Source
from reagent_training.train.examples import encode_prompt, prompt_messages
from sklearn.metrics import roc_auc_score
from sums import labelled, pair

from reagent_sdk.prompts import judge_prompt

# transformers' own trainer still calls what it deprecates
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
commands = Commands(app, "learning-curve")


@pytest.fixture(scope="module")
def held_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("held") / "test.jsonl"
    unscored = [labelled(number, score=None, critique=None, analysis=None) for number in range(100, 110)]
    write_set([*unscored, *(pair(number, preferred=side) for number in range(3) for side in (True, False))], path)
    return path


def trained(base: Path, rows: Path, out: Path, lora: Lora | None) -> Path:
    config = SftConfig(
        base=str(base),
        name="tiny",
        train=(Source(path=rows),),
        max_chars=1_000,
        device="cpu",
        lora=lora,
        optimiser=Optimiser(learning_rate=5e-3, accumulate=2, batch=2, max_steps=8),
        save_every=2,
        keep_checkpoints=4,
        trackers=(),
    )
    rrm_sft.run(config, out)
    return out


@pytest.fixture(scope="module")
def run(tiny_base: Path, sums: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tiny_base, sums, tmp_path_factory.mktemp("runs") / "tiny", Lora(rank=4, alpha=8))


@pytest.fixture(scope="module")
def full_run(tiny_base: Path, sums: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tiny_base, sums, tmp_path_factory.mktemp("runs") / "tiny", None)


def expected_scores(model: Any, tokenizer: Any, rows: Path) -> dict[str, float]:
    """Scores from whole prompts and the plain text before the digit, without the code of the trainer."""
    digits = [tokenizer(str(digit), add_special_tokens=False)["input_ids"][-1] for digit in range(10)]
    found = {}
    for row in read_set(rows):
        messages = prompt_messages(row, judge_prompt("rrm-2"), max_chars=1_000, seed=0)
        opening = tokenizer("<analysis>\nGrade: ", add_special_tokens=False)["input_ids"]
        ids = encode_prompt(tokenizer, messages) + opening
        with torch.inference_mode():
            last = model(input_ids=torch.tensor([ids])).logits[0, -1, digits].double().softmax(-1)
        found[row.id] = float((last * torch.arange(10.0)).sum() / 9)
    return found


@pytest.mark.parametrize("kind", ["run", "full_run"])
def test_each_checkpoint_is_measured_as_the_model_it_is(
    kind: str, request: pytest.FixtureRequest, tiny_base: Path, held_out: Path, tmp_path: Path
) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    run = request.getfixturevalue(kind)
    told = json.loads(commands.run(run, "--test", held_out, "--out", tmp_path, "--stops", 2, "--json").stdout)
    sums = [point for point in told["points"] if point["source"] == "sums"]
    assert [(point["update"], point["rows"], point["n"]) for point in sums] == [(0, 0, 10), (4, 16, 10), (8, 32, 10)]
    base, tokenizer = AutoModelForCausalLM.from_pretrained(tiny_base), AutoTokenizer.from_pretrained(tiny_base)
    adapted = (run / "adapter_config.json").is_file()
    scores = {0: expected_scores(base, tokenizer, held_out)}
    last = PeftModel.from_pretrained(base, run) if adapted else AutoModelForCausalLM.from_pretrained(run)
    scores[8] = expected_scores(last, tokenizer, held_out)
    for update, expected in scores.items():
        [kept] = tmp_path.glob(f"scores-{update:06}-*.json")
        assert json.loads(kept.read_text()) == pytest.approx(expected, abs=1e-5)
    rows = [row for row in read_set(held_out) if row.source == "sums"]
    area = roc_auc_score([bool(row.correct) for row in rows], [scores[8][row.id] for row in rows])
    assert sums[-1]["figures"]["auroc"]["value"] == pytest.approx(area)
    assert told["bag of words"]["sums"]["value"] is not None
    assert (tmp_path / "learning_curve.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((tmp_path / "learning_curve.json").read_text()) == told


def test_scores_that_are_there_are_not_asked_for_again(
    run: Path, held_out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reagent_training.train import validation

    first = commands.run(run, "--test", held_out, "--out", tmp_path, "--stops", 1).stdout
    assert "rows seen" in first
    assert "pairwise" in first, "pairs have no AUROC worth showing"
    asked: list[object] = []
    grading = validation.graded_scores

    def counted(*given: Any) -> list[float]:
        asked.append(given)
        return grading(*given)

    monkeypatch.setattr(validation, "graded_scores", counted)
    assert commands.run(run, "--test", held_out, "--out", tmp_path, "--stops", 1).stdout == first
    assert asked == []
    commands.run(run, "--test", held_out, "--out", tmp_path, "--stops", 1, "--limit", 4)
    assert len(asked) == 2 * 4, "other rows are other scores"


def test_what_cannot_be_measured_is_refused_in_one_line(run: Path, sums: Path, held_out: Path, tmp_path: Path) -> None:
    out = tmp_path / "curve"
    assert "holds no run of `reagent train rrm-sft`" in commands.refused(tmp_path, "--test", held_out, "--out", out)
    assert "12 questions are in the training and in the test rows" in commands.refused(
        run, "--test", sums, "--out", out
    )
    bare = tmp_path / "bare"
    shutil.copytree(run, bare, ignore=shutil.ignore_patterns("checkpoints"))
    assert "holds no checkpoint" in commands.refused(bare, "--test", held_out, "--out", out)
    plan = json.loads((bare / "plan.json").read_text())
    plan["settings"]["prompt_version"] = "rrm-1"
    (bare / "plan.json").write_text(json.dumps(plan))
    assert "has no grade to read" in commands.refused(bare, "--test", held_out, "--out", out)
    assert not out.exists()
