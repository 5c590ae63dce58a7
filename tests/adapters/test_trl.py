from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")

from reagent_adapters import versions
from reagent_adapters.trl import JudgeDown, rrm_reward

from reagent_sdk import InvalidInput, Verdict, VerdictStatus
from reagent_sdk.testing import ChatServer, Fault, ScriptedJudge

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
VERDICT = "<analysis>a</analysis><critique>c</critique><score>{}</score>"
ROLLOUT = [
    {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"type": "function", "function": {"name": "add", "arguments": {"x": 2, "y": 3}}}],
    },
    {"role": "tool", "name": "add", "content": "5"},
    {"role": "assistant", "content": "It is 5."},
]


def by_length(task: Any, trajectory: Any) -> float:
    return min(1.0, len(trajectory.answer) / 10)


def test_plain_texts_are_scored_and_columns_passed_through() -> None:
    judge = ScriptedJudge([0.25, 0.75])
    with rrm_reward(judge, concurrency=1) as reward:
        got = reward(
            prompts=["Q: 2+3? A:", "Q: 3+3? A:"],
            completions=["5", "6"],
            completion_ids=[[1], [2]],
            question=["2+3?", "3+3?"],
            solution=["5", "6"],
            trainer_state=object(),
        )
    assert got == [0.25, 0.75]
    (task, trajectory), _ = judge.seen
    assert (task.question, trajectory.answer) == ("2+3?", "5")
    assert task.metadata == {"question": "2+3?", "solution": "5"}
    assert reward.__name__ == "rrm_reward"


def test_conversations_and_rollouts_with_tools_reach_the_judge_whole() -> None:
    judge = ScriptedJudge([0.5])
    prompt = [{"role": "system", "content": "Be exact."}, {"role": "user", "content": "2+3?"}]
    with rrm_reward(judge) as reward:
        assert reward(prompts=[prompt], completions=[ROLLOUT]) == [0.5]
        assert reward(prompts=[prompt], completions=[[{"role": "assistant", "content": None}]]) == [0.5]
        assert reward(prompts=["2+3?"], completions=[""]) == [0.5]
        with pytest.raises(InvalidInput, match="a completion is a text"):
            reward(prompts=["2+3?"], completions=[7])
    task, trajectory = judge.seen[0]
    assert (task.question, task.history[0].text) == ("2+3?", "Be exact.")
    assert trajectory.answer == "It is 5."
    (call,) = trajectory.messages[0].tool_calls or ()
    assert (call.name, call.arguments_text) == ("add", '{"x": 2, "y": 3}')
    assert (trajectory.messages[1].role, trajectory.messages[1].text) == ("tool", "5")
    assert [seen.answer for _, seen in judge.seen[1:]] == ["", ""]


def test_a_completion_is_judged_once_also_across_steps() -> None:
    judge = ScriptedJudge([0.4, VerdictStatus.TRUNCATED, 0.6])
    with rrm_reward(judge, concurrency=1) as reward:
        assert reward(prompts=["q", "q", "q"], completions=["a", "b", "a"]) == [0.4, None, 0.4]
        assert reward(prompts=["q", "q"], completions=["a", "b"]) == [0.4, 0.6]  # a failure is not remembered
        assert len(judge.seen) == 3
        reward(prompts=["q"], completions=["a"], solution=["other"])
        assert len(judge.seen) == 4  # a judge may read the columns


def test_completions_are_judged_at_the_same_time() -> None:
    all_there = threading.Barrier(4, timeout=60)

    def judge(task: Any, trajectory: Any) -> float:
        all_there.wait()  # broken, and the judge with it, unless four calls are under way at once
        return 1.0

    with rrm_reward(judge, concurrency=4) as reward:
        assert reward(prompts=["q"] * 4, completions=list("abcd")) == [1.0] * 4


@pytest.mark.parametrize("status", [s for s in VerdictStatus if s is not VerdictStatus.SCORED])
def test_a_failed_judge_is_none_and_never_a_number(status: VerdictStatus) -> None:
    logged: dict[str, Any] = {}
    with rrm_reward(ScriptedJudge([status, (0.5, "say why")]), concurrency=1) as reward:
        got = reward(
            prompts=["q", "q"],
            completions=["a", "b"],
            log_metric=logged.__setitem__,
            log_extra=logged.__setitem__,
        )
    assert got == [None, 0.5]
    assert logged == {"rrm_reward/failed": 0.5, "rrm_reward_critique": ["", "say why"]}


def test_a_dead_judge_ends_the_training_after_so_many_failures() -> None:
    judge = ScriptedJudge([VerdictStatus.UNAVAILABLE, 0.5, VerdictStatus.UNAVAILABLE])
    with rrm_reward(judge, patience=3, concurrency=1) as reward:
        assert reward(prompts=["q"] * 4, completions=list("abcd")) == [None, 0.5, None, None]
        with pytest.raises(JudgeDown, match="'scripted' failed 3 times in a row; unavailable: scripted") as down:
            reward(prompts=["q"], completions=["e"])
    assert down.value.verdict.status is VerdictStatus.UNAVAILABLE
    with rrm_reward(ScriptedJudge([VerdictStatus.UNPARSEABLE]), on_failure="raise") as reward, pytest.raises(JudgeDown):
        reward(prompts=["q"], completions=["a"])


def test_it_waits_for_a_judge_that_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    paused: list[float] = []

    async def sleep(seconds: float) -> None:
        paused.append(seconds)

    monkeypatch.setattr("reagent_sdk.judges.queue.anyio.sleep", sleep)
    judge = ScriptedJudge([ConnectionError("down")] * 4 + [0.7, VerdictStatus.TRUNCATED])
    with rrm_reward(judge, on_failure="wait", concurrency=1) as reward:
        assert reward(prompts=["q", "q"], completions=["a", "b"]) == [0.7, None]
    assert paused == [1.0, 2.0]


def test_waiting_ends_with_an_error_when_the_judge_stays_away() -> None:
    judge = ScriptedJudge([ConnectionError("down")])
    with rrm_reward(judge, on_failure="wait", wait_seconds=0.05) as reward, pytest.raises(JudgeDown, match="down"):
        reward(prompts=["q"], completions=["a"])


def test_the_async_form_runs_in_the_callers_loop() -> None:
    loops: list[Any] = []

    async def judge(task: Any, trajectory: Any) -> float:
        loops.append(asyncio.get_running_loop())
        return 0.5

    async def main() -> list[float | None]:
        assert asyncio.iscoroutinefunction(reward.awaitable)
        assert reward.awaitable.__name__ == "critic"  # type: ignore[attr-defined]
        got = await reward.awaitable(prompts=["q"], completions=["a"])
        assert loops == [asyncio.get_running_loop()]
        return got

    with rrm_reward(judge, name="critic") as reward:
        assert asyncio.run(main()) == [0.5]
        assert reward(prompts=["q"], completions=["b"]) == [0.5]  # and from blocking code


@pytest.mark.parametrize("wrong", [{"patience": 0}, {"concurrency": 0}, {"wait_seconds": -1}, {"on_failure": "zero"}])
def test_settings_that_cannot_work_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        rrm_reward(ScriptedJudge([1.0]), **wrong)


def test_an_unsupported_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "version", lambda package: "1.4.0")
    with pytest.raises(versions.UnsupportedVersion, match=r"trl 1\.4\.0 is installed"):
        versions.require.__wrapped__("trl", "trl")


def tiny(folder: Path, rewards: list[Any], **settings: Any) -> Any:
    """A trainer of random weights and a tokenizer of seven words, all made here."""
    from datasets import Dataset
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
    from trl import GRPOConfig, GRPOTrainer

    words = {word: index for index, word in enumerate(["<pad>", "<eos>", "two", "plus", "three", "is", "five"])}
    plain = Tokenizer(models.WordLevel(words, unk_token="<pad>"))
    plain.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=plain, pad_token="<pad>", eos_token="<eos>")
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    model = LlamaForCausalLM(
        LlamaConfig(vocab_size=len(words), pad_token_id=0, eos_token_id=1, bos_token_id=1, **shape)
    )
    config = GRPOConfig(
        output_dir=str(folder),
        **{"per_device_train_batch_size": 4, "num_generations": 4, "max_completion_length": 4, "max_steps": 2}
        | settings,
        logging_steps=1,
        report_to=[],
        save_strategy="no",
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
    )
    data = Dataset.from_dict({"prompt": ["two plus three is"] * 8, "solution": ["five"] * 8})
    return GRPOTrainer(model, rewards, args=config, train_dataset=data, processing_class=tokenizer)


def rewards_of(trainer: Any, name: str = "rrm_reward") -> list[float]:
    return [line[f"rewards/{name}/mean"] for line in trainer.state.log_history if f"rewards/{name}/mean" in line]


def test_two_steps_of_grpo_learn_from_a_judge_behind_http(tmp_path: Path) -> None:
    given: list[tuple[str, float]] = []

    def answer(body: dict[str, Any]) -> str:
        score = round(0.1 + 0.1 * (len(given) % 9), 2)
        given.append((body["messages"][-1]["content"], score))
        return VERDICT.format(score)

    with ChatServer(answer) as server, rrm_reward(server.base_url, concurrency=1) as reward:
        batches: list[list[float | None]] = []

        def noted(*args: Any, **kwargs: Any) -> list[float | None]:
            batches.append(reward(*args, **kwargs))
            return batches[-1]

        noted.__name__ = "noted"
        trainer = tiny(tmp_path, [reward, noted])  # the second one answers from the first one's verdicts
        trainer.train()
    assert trainer.state.global_step == 2
    assert [len(batch) for batch in batches] == [4, 4]
    means = [sum(score for score in batch if score is not None) / 4 for batch in batches]
    assert rewards_of(trainer) == pytest.approx(means, abs=1e-4)
    assert rewards_of(trainer, "noted") == pytest.approx(means, abs=1e-4)
    assert {score for batch in batches for score in batch} <= {score for _, score in given}
    assert all("two plus three is" in asked for asked, _ in given)


@pytest.mark.parametrize("form", [lambda reward: reward, lambda reward: reward.awaitable], ids=["sync", "async"])
def test_trl_leaves_failed_verdicts_out_of_reward_and_advantage(tmp_path: Path, form: Callable[[Any], Any]) -> None:
    """Where the judge fails for a completion its advantage is 0; the baseline is that of the others."""
    scores = iter([0.2, 0.8, None, 0.5])

    def judge(task: Any, trajectory: Any) -> Verdict:
        score = next(scores)
        return Verdict.failed(VerdictStatus.TRUNCATED, "cut") if score is None else Verdict.of(score)

    with rrm_reward(judge, concurrency=1) as reward:
        unique = iter(range(1000))

        def distinct(prompts: Any, completions: Any, **columns: Any) -> Any:
            return form(reward)(prompts, [f"{c} {next(unique)}" for c in completions], **columns)

        async def distinct_too(prompts: Any, completions: Any, **columns: Any) -> Any:
            return await distinct(prompts, completions, **columns)

        chosen = distinct_too if form(reward) is not reward else distinct
        chosen.__name__ = "rrm_reward"
        trainer = tiny(tmp_path, [chosen], max_steps=1)
        seen: list[Any] = []
        scored = trainer._generate_and_score_completions
        trainer._generate_and_score_completions = lambda inputs: seen.append(scored(inputs)) or seen[-1]
        trainer.train()
    assert rewards_of(trainer) == pytest.approx([0.5], abs=1e-4)
    advantages = seen[0]["advantages"].tolist()
    assert advantages[2] == 0
    assert advantages[0] < 0 < advantages[1]
    assert advantages[3] == pytest.approx(0, abs=1e-4)  # the baseline is 0.5, the mean of the three


WORKER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import test_trl
from reagent_adapters.trl import rrm_reward
with rrm_reward(sys.argv[2]) as reward:
    trainer = test_trl.tiny(Path(sys.argv[3]), [reward], per_device_train_batch_size=2)
    trainer.train()
    if trainer.accelerator.is_main_process:
        print("MEANS", trainer.accelerator.num_processes, test_trl.rewards_of(trainer))
"""


def test_every_process_of_a_distributed_run_judges_its_own_share(tmp_path: Path) -> None:
    (tmp_path / "worker.py").write_text(WORKER)
    with ChatServer([VERDICT.format(0.25)]) as server:
        command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", "--master_port=0"]
        command += ["--rdzv_backend=c10d", "--rdzv_endpoint=localhost:0", str(tmp_path / "worker.py")]
        command += [str(Path(__file__).parent), server.base_url, str(tmp_path / "out")]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr[-3000:]
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("MEANS")]
    assert line == "MEANS 2 [0.25, 0.25]"


def test_a_judge_that_went_away_ends_a_run_with_a_clear_error(tmp_path: Path) -> None:
    with ChatServer([Fault.status(401)]) as server, rrm_reward(server.base_url, patience=4, concurrency=1) as reward:
        unique = iter(range(1000))

        def distinct(prompts: Any, completions: Any, **columns: Any) -> Any:
            return reward(prompts, [f"{c} {next(unique)}" for c in completions], **columns)

        with pytest.raises(JudgeDown, match="failed 4 times in a row"):
            tiny(tmp_path, [distinct]).train()
