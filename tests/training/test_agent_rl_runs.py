"""Whole runs of agent-grpo, reagent-r and reagent-u: what they learn, how they end, what they refuse to begin."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
import yaml
from reagent_training.agent_rl import recipe
from reagent_training.agent_rl.config import AgentConfig, AgentRollout, JudgeSource
from reagent_training.agent_rl.judging import judge_queue
from reagent_training.agent_rl.remembered import Memory
from reagent_training.agent_rl.samples import Samples
from reagent_training.agent_rl.tasks import TaskSet
from reagent_training.train import report as reports
from reagent_training.train.config import load_config
from reagent_training.train.running import CHECKPOINTS, check_processes, resume_from
from safetensors.torch import load_file

from reagent_sdk.errors import InvalidInput, WeightsUnavailable
from reagent_sdk.judges import queue as queues
from reagent_sdk.judges.queue import JudgeDown
from reagent_sdk.models.manifest import Manifest, read_manifest, write_manifest
from reagent_sdk.task import Task
from reagent_sdk.trajectory import Trajectory

sys.path.insert(0, str(Path(__file__).parent / "helpers"))
import tiny_agent
import tiny_judge
from tiny_agent import CRITIQUE, OTHERS, RIGHT, WRONG

# peft asks transformers for an attribute by its old name
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An agent that answers right as often as wrong, one that is right once in four times, and twelve questions."""
    folder = tmp_path_factory.mktemp("runs")
    tiny_agent.write_agent(folder / "agent", says=(RIGHT, WRONG))
    tiny_agent.write_agent(folder / "weak", says=(RIGHT, WRONG, *OTHERS))
    rows = [{"question": f"Task {number}?", "answer": "42"} for number in range(12)]
    (folder / "tasks.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows))
    return folder


@pytest.fixture(autouse=True)
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Curves take longer than the training of so small a model."""
    monkeypatch.setattr(reports, "draw", lambda *_: None)


def updates(report: dict[str, Any]) -> list[dict[str, float]]:
    return [entry for entry in report["log"] if "reward" in entry]


def gained(values: Sequence[float]) -> tuple[float, float]:
    """How much the last third is above the first, and the standard error of that."""
    third = len(values) // 3
    first, last = np.array(values[:third]), np.array(values[-third:])
    return last.mean() - first.mean(), float(np.sqrt((first.var(ddof=1) + last.var(ddof=1)) / third))


@pytest.mark.parametrize("name", ["agent-grpo", "reagent-r", "reagent-u"])
def test_rewards_rise(place: Path, tmp_path: Path, name: str) -> None:
    def rewards(rate: float, out: str) -> list[float]:
        how = {"learning_rate": rate, "batch": 16, "max_steps": 15}
        base = str(place / "weak")
        config = tiny_agent.settings(place, name, base=base, optimiser=how, rollout={"group": 8})
        judge = None if name == "agent-grpo" else tiny_agent.queue()
        return [entry["reward"] for entry in updates(recipe.run(config, tmp_path / out, judge))]

    gain, error = gained(rewards(1e-3, "learns"))
    still, noise = gained(rewards(1e-12, "control"))  # a rate of nothing
    assert gain > 4 * error
    assert abs(still) < 3 * noise
    assert gain > still + 0.25
    manifest = read_manifest(tmp_path / "learns")
    assert manifest is not None
    assert (manifest.role, manifest.recipe) == ("agent", f"reagent train {name}")


class Failing:
    """A judge that is down for some of its calls, or from some task on.

    Args:
        calls: of all calls, which fail.
        tasks: of the tasks that it hears of, in order, which fail.
    """

    def __init__(self, *, calls: range = range(0), tasks: range = range(0)) -> None:
        self.calls = 0
        self._down, self._tasks, self._seen = calls, tasks, list[str]()

    def __call__(self, task: Task, trajectory: Trajectory) -> tuple[float, str]:
        if task.question not in self._seen:
            self._seen.append(task.question)
        self.calls += 1
        if self.calls in self._down or self._seen.index(task.question) in self._tasks:
            raise ConnectionError("nobody listens")
        return tiny_agent.liking(task, trajectory)


def same_run(ours: Path, theirs: Path) -> None:
    """Both folders hold the same weights, bit for bit."""
    one, other = (load_file(folder / "model.safetensors") for folder in (ours, theirs))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def logged(report: dict[str, Any]) -> list[dict[str, float]]:
    """What was logged, without what says how long it took and how often the process began."""
    kept = ("loss", "reward", "reward_std", "grad_norm", "agent/first/right", "agent/judge/failed", "agent/tokens")
    return [{name: entry[name] for name in kept} for entry in updates(report)]


def test_a_judge_that_stays_down_ends_the_run_which_goes_on_later(place: Path, tmp_path: Path) -> None:
    config = tiny_agent.settings(place, optimiser={"max_steps": 5}, save_every=2)
    whole = recipe.run(config, tmp_path / "whole", tiny_agent.queue())
    with pytest.raises(JudgeDown, match="failed 1 times in a row; unavailable: ConnectionError: nobody listens"):
        recipe.run(config, tmp_path / "broken", tiny_agent.queue(Failing(tasks=range(3, 12)), patience=1))
    reached = [folder.name for folder in (tmp_path / "broken" / CHECKPOINTS).glob("checkpoint-*")]
    assert reached == ["checkpoint-2"]
    assert not (tmp_path / "broken" / "model.safetensors").exists()
    resumed = recipe.run(config, tmp_path / "broken", tiny_agent.queue())
    assert logged(resumed) == logged(whole)
    same_run(tmp_path / "whole", tmp_path / "broken")
    with pytest.raises(InvalidInput, match="other settings"):
        recipe.run(tiny_agent.settings(place, seed=4), tmp_path / "broken", tiny_agent.queue())


def test_a_judge_that_comes_back_is_waited_for(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queues, "_FIRST_WAIT", 0.0)
    config = tiny_agent.settings(place, "reagent-r")
    calm = recipe.run(config, tmp_path / "calm", tiny_agent.queue())
    judge = Failing(calls=range(1, 6))
    (waited,) = updates(recipe.run(config, tmp_path / "waited", tiny_agent.queue(judge, wait_seconds=60)))
    assert judge.calls > 6
    assert waited["agent/judge/failed"] == 0.0
    assert waited["reward"] == updates(calm)[0]["reward"]


def test_a_verdict_that_failed_is_left_out_of_the_mean(place: Path, tmp_path: Path) -> None:
    def partial(task: Task, trajectory: Trajectory) -> tuple[float, str]:
        if WRONG in trajectory.answer:
            raise ValueError("no idea")
        return 0.5, CRITIQUE

    config = tiny_agent.settings(place, "reagent-r", rollout={"group": 8})
    (entry,) = updates(recipe.run(config, tmp_path / "out", tiny_agent.queue(partial)))
    assert 0 < entry["agent/judge/failed"] < 1
    assert entry["reward"] == pytest.approx(1.15)  # of right answers alone; wrong ones are no 0
    assert entry["frac_reward_zero_std"] == 1.0
    assert "agent/judge/score_wrong" not in entry


def test_a_judge_of_this_machine_is_asked_in_batches(place: Path, tmp_path: Path) -> None:
    folder = tiny_judge.write_judge(tmp_path / "judge", critiques=(tiny_judge.HELPFUL,))
    write_manifest(folder, Manifest(name="tiny", role="judge", prompt_version="rrm-2", max_chars=1000))
    source = {"spec": f"hf:{folder}", "max_new_tokens": 24}
    config = tiny_agent.settings(place, judge=source, rollout={"group": 2}, optimiser={"batch": 4}, max_tokens=512)
    (entry,) = updates(recipe.run(config, tmp_path / "out"))
    assert entry["agent/judge/failed"] == 0.0
    right, wrong = entry.get("agent/judge/score_right", 0.5), entry.get("agent/judge/score_wrong", 0.5)
    assert (right, wrong) == pytest.approx((0.5, 0.5), abs=0.05)  # all grades are equally likely to it
    # in a run that goes on, what was heard before is asked again in other batches: the score must be the same number
    one, other = (judge_queue(JudgeSource.model_validate(source), seed=0) for _ in range(2))
    work = [(Task(question=f"Task {n}?"), Trajectory(answer=f"It is {'very ' * n}fine.")) for n in range(3)]

    async def heard() -> None:
        together = await one.verdicts(work)
        alone = [(await other.verdicts([piece]))[0] for piece in reversed(work)][::-1]
        assert [verdict.score for verdict in together] == [verdict.score for verdict in alone]
        assert all(verdict.scored for verdict in together)

    asyncio.run(heard())


def test_kept_tools_are_closed_with_the_run(place: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    closed: list[Memory] = []
    close = Memory.aclose

    async def noted(memory: Memory) -> None:
        closed.append(memory)
        await close(memory)

    monkeypatch.setattr(Memory, "aclose", noted)
    recipe.run(tiny_agent.settings(place, "agent-grpo"), tmp_path / "out")
    assert len(closed) == 1


def test_some_rollouts_are_kept_to_look_at(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Samples, "write_page", lambda self: None)  # the page has tests of its own
    config = tiny_agent.settings(place, optimiser={"max_steps": 5}, samples=3)
    recipe.run(config, tmp_path, tiny_agent.queue())
    assert [file.name for file in sorted((tmp_path / "samples").iterdir())] == [
        "000000.json",
        "000002.json",
        "000004.json",
    ]
    kept = Samples(tmp_path, config).read()
    assert len(kept) == 3 * config.rollout.group
    for one in kept:
        assert one.run is not None
        first, second = one.run.attempts
        assert (first.feedback, second.feedback) == (None, CRITIQUE)
        assert one.attempts == 2
        assert one.answer == second.trajectory.answer
        assert (str(one.outcome), str(one.first)) == (
            "right" if RIGHT in second.trajectory.answer else "wrong",
            "right" if RIGHT in first.trajectory.answer else "wrong",
        )


# --- what is refused, before anything heavy begins


@pytest.fixture
def unloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def loaded(*_: object, **__: object) -> None:
        raise AssertionError("a model was loaded")

    monkeypatch.setattr(transformers.AutoModelForCausalLM, "from_pretrained", loaded)


def refused(place: Path, out: Path, match: str, error: type[Exception] = InvalidInput, **changes: Any) -> None:
    with pytest.raises(error, match=match) as caught:
        recipe.run(tiny_agent.settings(place, **changes), out)
    assert "\n" not in str(caught.value)
    assert not out.exists()


@pytest.mark.usefixtures("unloaded")
def test_what_cannot_work_is_told_before_weights_are_loaded(place: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    refused(place, out, r"no multiple of twice rollout\.group 3", rollout={"group": 3})
    refused(place, out, "unknown judge: 'nonsense' does not name a model", judge={"spec": "nonsense"})
    refused(place, out, "unknown model 'smolm2'", judge={"spec": "local:smolm2"})
    refused(place, out, "there is no such folder", judge={"spec": f"hf:{tmp_path / 'missing'}"})
    refused(place, out, "role 'agent' and not a judge", judge={"spec": f"hf:{place / 'agent'}"})
    refused(place, out, "no task can be trained on", max_tokens=64, rollout={"max_new_tokens": 40})
    refused(place, out, "max_tokens 4096 is more than the window of .*, 1024 tokens", max_tokens=4096)
    refused(place, out, "there is no 'serch'", rollout={"tools": "serch"})
    refused(place, out, "has no tools of its own", rollout={"tools": "own"})
    refused(place, out, "neither a folder", WeightsUnavailable, base="./missing")
    (tmp_path / "judge").mkdir()
    shutil.copy(place / "agent" / "config.json", tmp_path / "judge")
    write_manifest(tmp_path / "judge", Manifest(name="j", role="judge", prompt_version="rrm-2"))
    refused(place, out, "role 'judge', not an agent", init=tmp_path / "judge")


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"optimiser.batch": 7}, "batch must be even"),
        ({"judge": None}, "reagent-u needs a judge"),
        ({"recipe": "agent-grpo"}, "leave judge out"),
        ({"recipe": "reagent-r", "pool": "first"}, "makes no revisions"),
        ({"max_tokens": 64, "rollout.max_new_tokens": 64}, "must leave room for a prompt"),
        ({"degenerate": "drop"}, "set objective.loss: dapo"),
        ({"rollout.speed": 3}, "speed"),
    ],
)
def test_settings_that_do_not_go_together(tmp_path: Path, changes: dict[str, Any], match: str) -> None:
    given = {"recipe": "reagent-u", "base": "x/y", "name": "a", "tasks": [{"path": "t"}], "judge": {"spec": "local"}}
    (tmp_path / "agent.yaml").write_text(yaml.safe_dump(given))
    with pytest.raises(InvalidInput, match=match) as caught:
        load_config(tmp_path / "agent.yaml", AgentConfig, changes)
    assert "\n" not in str(caught.value)


def test_the_papers_settings_stay_where_only_some_are_given() -> None:
    given = {"recipe": "agent-grpo", "base": "x/y", "name": "a", "tasks": [{"path": "t"}]}
    config = AgentConfig.model_validate({**given, "objective": {"beta": 0.1}, "optimiser": {"batch": 32}})
    how, objective = config.optimiser, config.objective
    assert (how.learning_rate, how.max_steps, how.accumulate) == (5e-7, 300, 1)
    assert (objective.loss, objective.scale, objective.epsilon_low, objective.epsilon_high) == (
        "grpo",
        "group",
        0.2,
        0.2,
    )
    assert AgentConfig.model_validate({**given, "optimiser": {"epochs": 2}}).optimiser.max_steps is None
    judge = JudgeSource(spec="local")
    assert (judge.weight, config.rollout.group, config.rollout.temperature, config.rollout.top_p) == (0.3, 8, 0.7, 0.95)
    assert config.rollout.steps == 13


def test_a_run_goes_on_from_the_last_whole_checkpoint(place: Path, tmp_path: Path) -> None:
    config = tiny_agent.settings(place)
    assert resume_from(tmp_path, config) is None
    for step, state in ((2, "{}"), (9, '{"global_st'), (10, None)):
        (tmp_path / CHECKPOINTS / f"checkpoint-{step}").mkdir(parents=True)
        if state is not None:
            (tmp_path / CHECKPOINTS / f"checkpoint-{step}" / "trainer_state.json").write_text(state)
    assert resume_from(tmp_path, config) == str(tmp_path / CHECKPOINTS / "checkpoint-2")


def test_processes_that_do_not_train_together_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Alone:
        class accelerator:  # noqa: N801 - the trainer's own name
            num_processes = 1

    check_processes(Alone())
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(RuntimeError, match="2 processes were started and 1 train together"):
        check_processes(Alone())


def test_tools_by_name_take_the_place_of_a_tasks_own(place: Path) -> None:
    asked = tiny_agent.question()
    for names, expected in (("own", ["look_up"]), ("none", []), ("search", [])):
        made = TaskSet((asked,), AgentRollout(tools=names)).tools_of(asked)
        assert [tool.name for tool in made] == expected
