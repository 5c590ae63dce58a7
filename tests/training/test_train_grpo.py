from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from peft import LoraConfig, PeftModel, get_peft_model
from pydantic import ValidationError
from reagent_training.agent_rl.config import AgentConfig
from reagent_training.agent_rl.sft_config import AgentSftConfig
from reagent_training.data.files import write_set
from reagent_training.train import report as reports
from reagent_training.train import rrm_grpo
from reagent_training.train.config import RunConfig, SftConfig, load_config
from reagent_training.train.critic_config import CriticConfig
from reagent_training.train.curves import series
from reagent_training.train.examples import encode_prompt, prompt_messages
from reagent_training.train.grpo_config import GrpoRrmConfig, RewardedConfig
from reagent_training.train.grpo_settings import batch_size, grpo_settings, updates
from reagent_training.train.start import check_start
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import GRPOConfig, GRPOTrainer

from reagent_sdk.errors import InvalidInput
from reagent_sdk.models.manifest import Manifest, read_manifest, write_manifest
from reagent_sdk.prompts import judge_prompt

sys.path.insert(0, str(Path(__file__).parent / "helpers"))
from tiny_judge import HEAD, row, write_judge

RECIPES = Path(__file__).parents[2] / "training" / "recipes"
pytestmark = [
    # peft asks transformers for an attribute by its old name
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
    # tensorboard's protobuf files use what Python 3.12 deprecates
    pytest.mark.filterwarnings("ignore:datetime.datetime.utcfromtimestamp:DeprecationWarning"),
]
KINDS: dict[str, type[RunConfig]] = {
    "rrm-sft": SftConfig,
    "rrm-grpo": GrpoRrmConfig,
    "critic-outcome": CriticConfig,
    "agent-sft": AgentSftConfig,
    "agent-grpo": AgentConfig,
    "reagent-r": AgentConfig,
    "reagent-u": AgentConfig,
}
ROWS = [
    row("right", "It is 42.", score=0.9, correct=True),
    row("wrong", "It is 41.", score=0.1, correct=False),
    row("better", "It is 42.", group="pair", pair="p", preferred=True, score=0.8),
    row("worse", "It is 43.", group="pair", pair="p", preferred=False, score=0.2),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base, an adapter for it as rrm-sft leaves it, and rows."""
    folder = tmp_path_factory.mktemp("grpo")
    write_judge(folder / "base")
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(folder / "base"),
        LoraConfig(r=4, lora_alpha=8, target_modules=["o_proj", "down_proj"], task_type="CAUSAL_LM"),
    )
    torch.manual_seed(1)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.02)
    model.save_pretrained(str(folder / "sft"))
    base = str(folder / "base")
    write_manifest(folder / "sft", Manifest(name="sft", role="judge", prompt_version="rrm-2", base_model=base))
    write_set(ROWS, folder / "rows.jsonl")
    return folder


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Curves take longer than the training of so small a model."""
    monkeypatch.setattr(reports, "draw", lambda *_: None)


def settings(place: Path, **changes: Any) -> GrpoRrmConfig:
    given: dict[str, Any] = {
        "base": str(place / "base"),
        "init": place / "sft",
        "name": "tiny",
        "max_chars": 1000,
        "train": [{"path": place / "rows.jsonl"}],
        "rollout": {"group": 4, "max_new_tokens": 8},
        "objective": {"beta": 0.05},
        "reward": {"ranking": 0.5},
        "optimiser": {"learning_rate": 0.02, "batch": 4, "accumulate": 2, "max_steps": 2},
        "device": "cpu",
        "trackers": [],
        "save_every": 2,
        "seed": 3,
    }
    return GrpoRrmConfig(**(given | changes))


def test_a_run_from_end_to_end(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[list[int]] = []
    generate = GRPOTrainer._generate_single_turn

    def recorded(self: Any, prompt_ids: list[list[int]], *args: Any, **options: Any) -> Any:
        sent.extend(prompt_ids)
        return generate(self, prompt_ids, *args, **options)

    monkeypatch.setattr(GRPOTrainer, "_generate_single_turn", recorded)
    config = settings(place, trackers=["tensorboard"])
    report = rrm_grpo.run(config, tmp_path / "out")

    tokenizer = AutoTokenizer.from_pretrained(place / "base")
    prompt = judge_prompt("rrm-2")
    served = {
        tuple(encode_prompt(tokenizer, prompt_messages(one, prompt, max_chars=1000, seed=3))): one.id for one in ROWS
    }
    asked = [served[tuple(ids)] for ids in sent]  # each is what the SDK would send, token for token
    batches = [set(asked[:8]), set(asked[8:])]
    assert {"right", "wrong"} in batches  # compared within their question
    assert {"better", "worse"} in batches

    first = next(entry for entry in report["log"] if "reward" in entry)
    assert first["parts/format"] == 1.0
    drawn = series(report["log"])
    assert {"reward", "parts/calibration", "kl"} <= drawn.keys()
    assert len(drawn) <= 15
    assert {"parts/calibration", "parts/ranking", "parts/leak", "parts/length", "kl"} <= set(first)
    assert 1 < first["reward"] < 3.5
    assert report["rows"] == 4
    assert list((tmp_path / "out" / "checkpoints").glob("**/events.out.tfevents.*"))

    manifest = read_manifest(tmp_path / "out")
    assert manifest is not None
    assert (manifest.role, manifest.prompt_version, manifest.recipe) == ("judge", "rrm-2", "reagent train rrm-grpo")
    before, after = (load_file(folder / "adapter_model.safetensors") for folder in (place / "sft", tmp_path / "out"))
    assert before.keys() == after.keys()
    assert any(not torch.equal(before[name], after[name]) for name in before)
    assert not (tmp_path / "out" / "ref").exists()
    base = AutoModelForCausalLM.from_pretrained(place / "base")
    PeftModel.from_pretrained(base, str(tmp_path / "out"))


@pytest.mark.usefixtures("undrawn")
def test_a_judge_learns_the_score_of_a_row(place: Path, tmp_path: Path) -> None:
    write_set([row("only", "It is 42.", score=0.75)], tmp_path / "one.jsonl")
    config = settings(
        place,
        init=None,
        lora=None,
        train=[{"path": tmp_path / "one.jsonl"}],
        objective={"beta": 0.0},
        reward={},
        rollout={"group": 12, "max_new_tokens": 8},
        optimiser={"learning_rate": 3e-3, "batch": 12, "accumulate": 1, "max_steps": 16, "warmup": 0.0},
        save_every=100,
    )
    before = mean_grade(place / "base")
    with pytest.warns(RuntimeWarning, match="rrm-sft"):
        report = rrm_grpo.run(config, tmp_path / "out")
    after = mean_grade(tmp_path / "out")
    assert abs(before - 0.5) < 0.05
    assert abs(after - 0.75) < 0.08
    assert "untrained" in report["notes"][0]


def mean_grade(folder: Path) -> float:
    """The score as the SDK reads it from the digits' probabilities."""
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    messages = prompt_messages(row("only", "It is 42.", score=0.75), judge_prompt("rrm-2"), max_chars=1000, seed=3)
    ids = encode_prompt(tokenizer, messages) + tokenizer(HEAD, add_special_tokens=False)["input_ids"]
    with torch.inference_mode():
        logits = model(torch.tensor([ids])).logits[0, -1]
    digits = [tokenizer(str(digit), add_special_tokens=False)["input_ids"][0] for digit in range(10)]
    return float((logits[digits].softmax(-1) * torch.arange(10)).sum() / 9)


KILLED = """
import os, signal, sys, warnings
from pathlib import Path
warnings.simplefilter("ignore")
from reagent_training.train import judge_reward, rrm_grpo
from reagent_training.train.grpo_config import GrpoRrmConfig

class Deadly(judge_reward.JudgeReward):
    calls = 0
    def __call__(self, *args, **columns):
        Deadly.calls += 1
        if Deadly.calls == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(*args, **columns)

rrm_grpo.JudgeReward = Deadly
rrm_grpo.run(GrpoRrmConfig.model_validate_json(sys.argv[1]), Path(sys.argv[2]))
"""


@pytest.mark.usefixtures("undrawn")
def test_a_killed_run_goes_on_exactly(place: Path, tmp_path: Path) -> None:
    # Four updates of two rows each are two passes over the four rows, so the order of the second one matters as well.
    how = {"learning_rate": 0.02, "batch": 4, "accumulate": 2, "max_steps": 4}
    config = settings(place, optimiser=how)
    whole = rrm_grpo.run(config, tmp_path / "whole")
    done = subprocess.run(
        [sys.executable, "-c", KILLED, config.model_dump_json(), str(tmp_path / "killed")],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert [folder.name for folder in (tmp_path / "killed" / "checkpoints").glob("checkpoint-*")] == ["checkpoint-2"]
    resumed = rrm_grpo.run(config, tmp_path / "killed")
    assert figures(resumed) == figures(whole)
    ours, theirs = (load_file(tmp_path / name / "adapter_model.safetensors") for name in ("whole", "killed"))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    with pytest.raises(InvalidInput, match="other settings"):
        rrm_grpo.run(settings(place, optimiser=how, seed=4), tmp_path / "killed")


SHARED = """
import sys, warnings
from pathlib import Path
warnings.simplefilter("ignore")
from reagent_training.train import report, rrm_grpo
from reagent_training.train.grpo_config import GrpoRrmConfig

report.draw = lambda *_: None
rrm_grpo.run(GrpoRrmConfig.model_validate_json(sys.argv[1]), Path(sys.argv[2]))
"""


def test_two_processes_share_a_batch(place: Path, tmp_path: Path) -> None:
    write_set(ROWS[:2], tmp_path / "rows.jsonl")
    how = {"learning_rate": 0.02, "batch": 4, "accumulate": 1, "max_steps": 1}
    config = settings(place, train=[{"path": tmp_path / "rows.jsonl"}], optimiser=how)
    (tmp_path / "shared.py").write_text(SHARED)
    launched = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    done = subprocess.run(
        [*launched, str(tmp_path / "shared.py"), config.model_dump_json(), str(tmp_path / "out")],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    # Each process judges one of the two rows, so that they are compared at all means that scores were exchanged.
    assert 0 <= report["log"][0]["parts/ranking"] <= 1
    PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(place / "base"), str(tmp_path / "out"))


def figures(report: dict[str, Any]) -> list[dict[str, float]]:
    """What was logged, without what says how long it took and how often the process began."""
    kept = ("loss", "reward", "reward_std", "kl", "grad_norm", "entropy", "learning_rate", "parts/calibration")
    return [{name: entry[name] for name in kept} for entry in report["log"] if "reward" in entry]


def test_only_a_judge_of_the_same_prompt_and_base_is_trained_further(place: Path, tmp_path: Path) -> None:
    def allowed(**manifest: Any) -> None:
        facts = {"name": "x", "role": "judge", "prompt_version": "rrm-2", "base_model": str(place / "base")}
        write_manifest(tmp_path, Manifest.model_validate(facts | manifest))
        assert check_start(settings(place, init=tmp_path)) == ""

    def refused(match: str, **manifest: Any) -> None:
        with pytest.raises(InvalidInput, match=match):
            allowed(**manifest)

    refused("holds no weights")
    (tmp_path / "adapter_config.json").write_text("{}")
    refused("role 'agent'", role="agent")
    refused("prompt_version: rrm-1", prompt_version="rrm-1")
    refused("set base: another", base_model="another")
    refused("set base: ", base_model=str(tmp_path))
    (tmp_path / "link").symlink_to(place / "base")
    allowed(base_model=str(tmp_path / "link"))  # another way to the same
    (tmp_path / "adapter_config.json").rename(tmp_path / "config.json")
    refused("set lora: null")
    (tmp_path / "reagent.json").unlink()
    with pytest.raises(InvalidInput, match=r"no reagent\.json"):
        check_start(settings(place, init=tmp_path))
    assert check_start(settings(place)) == ""


def test_rows_without_anything_to_measure_are_left_out(place: Path, tmp_path: Path) -> None:
    write_set([*ROWS, row("unscored", "It is 44.", group="z", correct=False)], tmp_path / "rows.jsonl")
    ready = rrm_grpo.prepare(settings(place, train=[{"path": tmp_path / "rows.jsonl"}]))
    assert {one.id for one in ready.rows} == {one.id for one in ROWS}
    assert ready.left_out == {"no score, and nothing to compare with": 1}
    with pytest.raises(InvalidInput, match="more than 100 tokens"):
        rrm_grpo.prepare(settings(place, max_tokens=100))


def test_groups_must_be_whole_and_checkpoints_at_fresh_replies(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = settings(place, optimiser={"batch": 1, "accumulate": 2})
    with pytest.raises(InvalidInput, match=r"2 replies, which is no multiple of rollout\.group 4"):
        batch_size(config)
    monkeypatch.setenv("WORLD_SIZE", "8")
    assert batch_size(config) == 4
    assert updates(config, 40) == 10
    with pytest.raises(ValidationError, match=r"multiple of objective\.iterations"):
        settings(place, objective={"iterations": 3})


def test_trl_knows_every_setting(place: Path, tmp_path: Path) -> None:
    vllm = {"mode": "server", "server": "http://127.0.0.1:8000"}
    given = grpo_settings(settings(place, rollout={"group": 4, "vllm": vllm}), tmp_path, 4)
    assert given.keys() <= {field.name for field in dataclasses.fields(GRPOConfig)}
    assert (given["use_vllm"], given["vllm_mode"]) == (True, "server")
    assert given["use_bias_correction_kl"] is True
    plain = grpo_settings(settings(place, objective={"beta": 0.1, "divergence": "plain"}), tmp_path, 4)
    assert (plain["beta"], plain["use_bias_correction_kl"]) == (0.1, False)


@pytest.mark.parametrize("file", sorted(RECIPES.glob("*.yaml")), ids=lambda file: file.stem)
def test_recipes_load(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = yaml.safe_load(file.read_text(encoding="utf-8")).get("recipe")
    if recipe is None:  # accelerate's own file, or a whole reproduction, which has tests of its own
        assert "compute_environment" in file.read_text(encoding="utf-8") or file.stem.startswith("mini_")
        return
    config = load_config(file, KINDS[recipe])
    if isinstance(config, RewardedConfig):
        monkeypatch.setenv("WORLD_SIZE", "8" if file.stem.endswith("8gpu") else "1")
        assert batch_size(config) >= 1
