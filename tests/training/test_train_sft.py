from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from reagent_training.data.files import write_set
from reagent_training.train import rrm_sft
from reagent_training.train.config import Lora, Optimiser, SftConfig, Source
from reagent_training.train.examples import IGNORED, Example, prompt_messages, sft_examples
from reagent_training.train.rows import read_rows
from sums import labelled, pair

from reagent_sdk.clients.hf_model import HFModel
from reagent_sdk.parsing import parse_verdict
from reagent_sdk.prompts import judge_prompt
from reagent_sdk.specs import judge_for

pytestmark = [
    # transformers' own trainer still calls what it deprecates
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
]


@pytest.fixture(scope="module")
def tokenizer(tiny_base: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(str(tiny_base))


def settings(tiny_base: Path, sums: Path, **changes: Any) -> SftConfig:
    given: dict[str, Any] = {
        "base": str(tiny_base),
        "name": "tiny",
        "train": (Source(path=sums),),
        "max_chars": 1_000,
        "device": "cpu",
        "lora": Lora(rank=4, alpha=8),
        "optimiser": Optimiser(learning_rate=5e-3, accumulate=2, batch=2, max_steps=4),
        "save_every": 1,
        "trackers": (),
    }
    return SftConfig(**(given | changes))


def test_prompt_and_target_are_what_is_served_and_parsed(tiny_base: Path, sums: Path, tokenizer: Any) -> None:
    config = settings(tiny_base, sums)
    rows = read_rows(config.train, prompt_version="rrm-2", seed=0)
    examples = sft_examples(rows, tokenizer, config, config.preferred, Counter())
    assert len(examples) == len(rows) == 24
    served = HFModel("tiny", torch.nn.Linear(1, 1), tokenizer)
    served.network.device = torch.device("cpu")
    for row, one in zip(rows, examples, strict=True):
        messages = prompt_messages(row, judge_prompt("rrm-2"), max_chars=1_000, seed=0)
        prompt = served._encode(messages)["input_ids"][0].tolist()
        assert one.input_ids[: len(prompt)] == prompt, "the client of the SDK sends the very same tokens"
        assert set(one.labels[: len(prompt)]) == {IGNORED}
        target = one.input_ids[len(prompt) :]
        assert target[-1] == tokenizer.eos_token_id
        verdict = parse_verdict(tokenizer.decode(target[:-1]))
        assert (verdict.score, verdict.critique) == (row.score, row.critique)
        assert verdict.analysis.endswith(row.analysis or "?")
        learnt = [token for token, label in zip(target, one.labels[len(prompt) :], strict=True) if label != IGNORED]
        assert one.grade_at is not None
        assert learnt == target[: one.grade_at - len(prompt)] + target[one.grade_at - len(prompt) + 1 :]
        assert tokenizer.decode([one.input_ids[one.grade_at]]) == str(round((row.score or 0) * 9))


def test_the_record_of_the_answer_key_never_reaches_the_prompt(tiny_base: Path, sums: Path, tokenizer: Any) -> None:
    config = settings(tiny_base, sums)
    [one] = sft_examples([labelled(5, metadata={"reference": ["zyx77"]})], tokenizer, config, None, Counter())
    assert "zyx77" not in tokenizer.decode(one.input_ids)


def test_a_pair_teaches_the_grade_alone(tiny_base: Path, sums: Path, tokenizer: Any) -> None:
    config = settings(tiny_base, sums)
    sides = [pair(1, preferred=True), pair(1, preferred=False)]
    better, worse = sft_examples(sides, tokenizer, config, (0.85, 0.15), Counter())
    assert (better.score, worse.score) == (0.85, 0.15)
    for one in (better, worse):
        assert set(one.labels) == {IGNORED}
        assert one.grade_at == len(one.input_ids) - 1
    left_out = Counter[str]()
    assert sft_examples(sides, tokenizer, config, None, left_out) == []
    assert sum(left_out.values()) == 2


def test_long_rows_are_left_out_and_counted(tiny_base: Path, sums: Path, tokenizer: Any) -> None:
    left_out = Counter[str]()
    config = settings(tiny_base, sums, max_tokens=64)
    assert sft_examples([labelled(1)], tokenizer, config, None, left_out) == []
    assert left_out == {"more than 64 tokens": 1}


def reference(logits: np.ndarray, rows: list[Example], digits: list[int], weight: float) -> float:
    """The loss in plain numpy: one row, one token at a time."""
    text, count, grade = 0.0, 0, 0.0
    for of, one in zip(logits, rows, strict=True):
        log = of - np.log(np.exp(of - of.max(-1, keepdims=True)).sum(-1, keepdims=True)) - of.max(-1, keepdims=True)
        for place, label in enumerate(one.labels):
            if label != IGNORED:
                text, count = text - log[place - 1, label], count + 1
        place = one.score * 9
        below = min(8, int(place))
        assert one.grade_at is not None
        at = log[one.grade_at - 1]
        grade -= (1 - (place - below)) * at[digits[below]] + (place - below) * at[digits[below + 1]]
    return text / count + weight * grade / len(rows)


def test_the_loss_equals_a_plain_reference(tiny_base: Path, sums: Path, tmp_path: Path) -> None:
    from reagent_training.train.sft_loss import digit_ids

    config = settings(tiny_base, sums, grade_weight=0.7, lora=None)
    ready = rrm_sft.prepare(config)
    short = sft_examples([pair(3, preferred=True)], ready.tokenizer, config, (0.8, 0.2), Counter())
    rows = [ready.train[0], replace(ready.train[5], score=0.37), *short]
    trainer = rrm_sft._trainer(config, tmp_path, ready)
    names = ("input_ids", "labels", "grade_at", "score")
    batch = trainer.data_collator([{name: getattr(one, name) for name in names} for one in rows])
    loss = trainer.compute_loss(trainer.model, dict(batch))
    with torch.no_grad():
        logits = trainer.model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    expected = reference(logits.double().numpy(), rows, digit_ids(ready.tokenizer), 0.7)
    assert loss.item() == pytest.approx(expected, rel=1e-4)
    whole = trainer.compute_loss(trainer.model, dict(batch), num_items_in_batch=torch.tensor(1_000))
    assert whole.item() < loss.item(), "with a count for the whole update the loss is a share of it"


def test_questions_on_both_sides_are_refused(tiny_base: Path, sums: Path) -> None:
    from reagent_sdk.errors import InvalidInput

    with pytest.raises(InvalidInput, match="12 questions are in the training and in the validation rows"):
        rrm_sft.load_rows(settings(tiny_base, sums, validation=(Source(path=sums),)))


def test_rows_are_drawn_evenly_and_pairs_whole(tmp_path: Path) -> None:
    mostly_wrong = [labelled(number) for number in (0, 2, *range(1, 40, 2))]
    write_set(mostly_wrong, tmp_path / "wrong.jsonl")
    drawn = read_rows([Source(path=tmp_path / "wrong.jsonl", rows=4)], prompt_version="rrm-2", seed=0)
    assert sorted(row.correct is True for row in drawn) == [False, False, True, True]
    again = read_rows([Source(path=tmp_path / "wrong.jsonl", rows=4)], prompt_version="rrm-2", seed=0)
    assert [row.id for row in drawn] == [row.id for row in again]
    sides = [pair(number, preferred=preferred) for number in range(5) for preferred in (True, False)]
    write_set(sides, tmp_path / "pairs.jsonl")
    drawn = read_rows([Source(path=tmp_path / "pairs.jsonl", rows=3)], prompt_version="rrm-2", seed=0)
    assert Counter(row.pair for row in drawn).most_common()[-1][1] == 2, "both sides, although three were asked for"


@pytest.fixture(scope="module")
def trained(tiny_base: Path, sums: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "tiny"
    held_out = out.parent / "held_out.jsonl"
    write_set((labelled(number, source="held") for number in range(100, 106)), held_out)
    config = settings(tiny_base, sums, validation=(Source(path=held_out),), validate_every=2)
    rrm_sft.run(config, out)
    return out


def test_a_run_leaves_weights_report_curves_and_card(trained: Path, tiny_base: Path) -> None:
    report = json.loads((trained / "report.json").read_text())
    losses = [entry["loss"] for entry in report["log"] if "loss" in entry]
    assert len(losses) == 4
    assert losses[-1] < losses[0]
    assert report["rows"] == 24
    assert report["sources"] == {"sums": {"rows": 24, "labelled_by": ["rule"], "licence": ""}}
    assert set(report["validation"]) == {"trained", "base"}
    assert report["validation"]["trained"]["rows"] == 6
    assert any("eval_loss" in entry for entry in report["log"])
    assert (trained / "curves.png").read_bytes().startswith(b"\x89PNG")
    card = (trained / "README.md").read_text()
    assert "| sums | 24 | rule | none named |" in card
    assert str(tiny_base) in json.loads((trained / "adapter_config.json").read_text())["base_model_name_or_path"]
    assert not list(trained.glob("*.bin")), "nothing pickled"


@pytest.mark.anyio
async def test_the_sdk_judges_with_the_folder_that_came_out(trained: Path) -> None:
    for spec in (f"hf:{trained}", f"local:{trained}"):
        judge = judge_for(spec)
        try:
            assert judge.settings.prompt_version == "rrm-2"  # type: ignore[attr-defined]
            assert judge.settings.max_chars == 1_000  # type: ignore[attr-defined]
            judge.settings = judge.settings.model_copy(  # type: ignore[attr-defined]
                update={"sampling": judge.settings.sampling.model_copy(update={"max_tokens": 8}), "reasks": 0}  # type: ignore[attr-defined]
            )
            row = labelled(7)
            verdict = await judge.judge(row.task, row.trajectory)
            assert verdict.status in ("unparseable", "truncated", "scored"), verdict.reason
        finally:
            await judge.aclose()


def test_a_finished_run_of_other_settings_is_refused(trained: Path, tiny_base: Path, sums: Path) -> None:
    from reagent_sdk.errors import InvalidInput

    with pytest.raises(InvalidInput, match="holds a run with other settings"):
        rrm_sft.run(settings(tiny_base, sums, seed=7), trained)
