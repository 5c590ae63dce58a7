"""Two processes that train an agent together, over gloo: the same update as one would make; one of them is killed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from reagent_training.agent_rl import recipe
from reagent_training.agent_rl.objective import pooled_advantages
from reagent_training.agent_rl.policy import Tokens
from reagent_training.agent_rl.rollouts import Rollout
from reagent_training.agent_rl.stages import Row
from reagent_training.train import report as reports
from safetensors.torch import load_file
from trl import GRPOTrainer

from reagent_sdk.trajectory import Trajectory

sys.path.insert(0, str(Path(__file__).parent / "helpers"))
import tiny_agent

WORKER = str(Path(__file__).parent / "helpers" / "agent_worker.py")
# peft asks transformers for an attribute by its old name
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two processes: each update is one group of eight rollouts, four on each."""
    folder = tmp_path_factory.mktemp("processes")
    tiny_agent.write_agent(folder / "agent")
    launched = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", WORKER]
    done = ran([*launched, "whole", settings(folder).model_dump_json(), str(folder / "whole")])
    assert done.returncode == 0, done.stderr[-4000:]
    return folder


def settings(place: Path, **optimiser: Any) -> Any:
    how = {"batch": 4, "max_steps": 5, "clip": 1e9} | optimiser
    return tiny_agent.settings(place, rollout={"tools": "own"}, optimiser=how, max_tokens=512, save_every=2)


def ran(command: list[str]) -> subprocess.CompletedProcess[str]:
    told = os.environ | {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    return subprocess.run(command, capture_output=True, text=True, env=told, check=False)


def left_by(out: Path) -> list[list[dict[str, Any]]]:
    """What the two ranks left of each update."""
    return [torch.load(out.with_name(f"{out.name}-{rank}.pt")) for rank in (0, 1)]


def rollout_of(tokens: dict[str, Any] | None) -> Rollout | None:
    return Rollout(Tokens(**tokens), Trajectory(answer=""), right=False) if tokens else None


def test_two_processes_make_the_update_of_one(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ranks = left_by(place / "whole")
    assert [len(made) for made in ranks] == [5, 5]
    for both in zip(*ranks, strict=True):
        assert [made["processes"] for made in both] == [2, 2]
        assert [len(made["rewards"]) for made in both] == [4, 4]  # the group lies on both
        rewards = [reward for made in both for reward in made["rewards"]]
        advantages = [advantage for made in both for advantage in made["advantages"]]
        assert advantages == pytest.approx(pooled_advantages(rewards), rel=1e-4, abs=1e-4)  # float32
    first = [made[0] for made in ranks]
    assert first[0]["tokens"] != first[1]["tokens"]  # they do not sample the same

    question = tiny_agent.question()
    rows = [
        Row(
            question,
            at % 2,
            Rollout(Tokens(**tokens), Trajectory(answer=""), right=False) if tokens else None,
            None,
            reward,
        )
        for made in first
        for at, (tokens, reward) in enumerate(zip(made["tokens"], made["rewards"], strict=True))
    ]
    found: dict[str, Any] = {}
    score, step = GRPOTrainer._generate_and_score_completions, GRPOTrainer.training_step

    async def again(*_: object) -> list[Row]:
        return rows

    def scored(self: Any, inputs: Any) -> Any:
        batch = score(self, inputs)
        found["advantages"] = batch["advantages"].tolist()
        return batch

    def stepped(self: Any, model: Any, *args: Any, **options: Any) -> Any:
        loss = step(self, model, *args, **options)
        found["gradient"] = {name: p.grad.detach().clone() for name, p in model.named_parameters()}
        return loss

    monkeypatch.setattr(recipe, "sampled", again)
    monkeypatch.setattr(recipe, "read_tasks", lambda config: tiny_agent.task_set(config, count=2))
    monkeypatch.setattr(reports, "draw", lambda *_: None)
    monkeypatch.setattr(GRPOTrainer, "_generate_and_score_completions", scored)
    monkeypatch.setattr(GRPOTrainer, "training_step", stepped)
    recipe.run(settings(place, batch=8, max_steps=1), tmp_path / "alone", tiny_agent.queue())
    assert found["advantages"] == pytest.approx([one for made in first for one in made["advantages"]], abs=1e-6)
    for name, value in found["gradient"].items():
        for made in first:  # each holds the mean of both
            torch.testing.assert_close(made["gradient"][name], value, atol=1e-6, rtol=1e-3)
    assert max(value.abs().max().item() for value in found["gradient"].values()) > 1e-3


def test_one_of_two_is_killed_and_the_same_run_goes_on(place: Path) -> None:
    done = ran([sys.executable, WORKER, "killed", settings(place).model_dump_json(), str(place / "killed")])
    assert done.returncode == 0, done.stderr[-4000:]
    told = json.loads((place / "killed.json").read_text())
    assert "Signal 9 (SIGKILL)" in told["stopped"]
    assert re.search(r"rank\s*: 1 ", told["stopped"])
    assert told["checkpoints"] == ["checkpoint-2"]
    ours, theirs = (load_file(place / name / "model.safetensors") for name in ("whole", "killed"))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    whole, resumed = left_by(place / "whole"), left_by(place / "killed")
    for made, again in zip(whole, resumed, strict=True):
        assert [one["rewards"] for one in made[2:]] == [one["rewards"] for one in again]
        assert [one["tokens"] for one in made[2:]] == [one["tokens"] for one in again]
