"""What Reagent-U's steps cost beside those of a stock GRPOTrainer: `python -m reagent_training.agent_rl.step_time`.

Both train the same model with the same settings on the same shape: so many sequences, whose prompts and completions
have the same lengths. Half of the prompts hold a first attempt and its critique. Ours sample in two stages, with the
agent and a judge that answers at once; stock TRL samples all sequences in one. Steps take turns, within one process.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import tempfile
import threading
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from rich.console import Console
from trl import GRPOConfig, GRPOTrainer

from reagent_sdk.agents import Feedback
from reagent_sdk.judges.base import CallableJudge
from reagent_sdk.judges.queue import JudgeQueue
from reagent_sdk.task import Task
from reagent_sdk.trajectory import Trajectory
from reagent_training.agent_rl.config import AgentConfig
from reagent_training.agent_rl.dialogue import Dialogue
from reagent_training.agent_rl.made_model import Shape, words, words_model, words_tokenizer
from reagent_training.agent_rl.recipe import Prepared, Sampler
from reagent_training.agent_rl.rollouts import Asked, Roller
from reagent_training.agent_rl.samples import Samples
from reagent_training.agent_rl.taking_turns import Turns, compared
from reagent_training.agent_rl.tasks import TaskSet
from reagent_training.agent_rl.trainer import AgentTrainer
from reagent_training.sampling.questions import Question
from reagent_training.train.grpo_settings import grpo_settings
from reagent_training.train.start import Start

BAR = 1.05


def settings_for(shape: Shape, steps: int, seed: int) -> AgentConfig:
    """Settings of the recipe; nothing is read from files."""
    return AgentConfig.model_validate(
        {
            "recipe": "reagent-u",
            "base": "made/here",
            "name": "step-time",
            "lora": None,
            "max_tokens": 2_048,
            "tasks": [{"path": "made"}],
            "rollout": {
                "group": shape.group // 2,
                "max_new_tokens": shape.completion,
                "tools": "none",
                "instructions": "",
            },
            "objective": {"loss": "dapo"},
            "optimiser": {"batch": shape.rows, "max_steps": steps, "learning_rate": 1e-6},
            "judge": {"spec": "constant"},
            "device": "auto" if torch.cuda.is_available() else "cpu",
            "trackers": [],
            "save_every": 10**6,
            "samples": 0,
            "seed": seed,
        }
    )


def measure(shape: Shape, *, steps: int, seed: int, folder: Path) -> dict[str, Any]:
    """Takes steps in turn, and compares them.

    Args:
        shape: of the sequences and the model.
        steps: of each, one more to warm up.
        seed: of weights and sampling.
        folder: for what trainers write.

    Returns:
        CPU and wall seconds of a step (medians), their ratio with its 95 % interval, and what it was measured on.
    """
    config, tokenizer = settings_for(shape, steps + 1, seed), words_tokenizer(shape.vocabulary)
    # whoever begins changes with each pair, so that neither always comes after the other
    order = [0, 1, *(mine for pair in range(steps) for mine in ((0, 1) if pair % 2 else (1, 0)))]
    door = threading.Condition()
    ours, stock = Turns(0, order, door), Turns(1, order, door)
    options = grpo_settings(config, folder, 1) | {"generation_kwargs": {"min_new_tokens": shape.completion}}
    asked = Question("0/1", "0/1", "made", Task(question=words(shape.question)), ("x",), lambda _: False)
    tasks = TaskSet((asked,), config.rollout)
    ready = Prepared(tasks, Start(words_model(shape, seed), tokenizer, None), {}, [])
    judge = JudgeQueue(CallableJudge(lambda task, trajectory: (0.5, "Check the last step again.")))
    with Sampler(config, ready, judge, Samples(folder, config)) as sampler:
        first = _trainer(options, [asked.name], ready.start.model, tokenizer, ours, sampler)
        prompts = _lengths(config, tokenizer, asked, shape)
        texts = [words(length) for length in prompts]
        second = _trainer(options, texts, words_model(shape, seed), tokenizer, stock, None)
        threads = [threading.Thread(target=one.train) for one in (first, second)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    cpu, wall = (compared(ours.seconds, stock.seconds, kind, seed) for kind in (0, 1))
    return {
        "measure": "wall" if torch.cuda.is_available() else "cpu",
        "cpu": cpu,
        "wall": wall,
        "tokens": shape.rows * shape.completion,
        "prompts": prompts,
        "steps": steps,
        "seed": seed,
        "hardware": hardware(),
        "shape": asdict(shape),
    }


def _lengths(config: AgentConfig, tokenizer: Any, asked: Question, shape: Shape) -> list[int]:
    """Tokens of a task's prompt, and of the prompt of a revision of an attempt at it."""

    def unused(prompts: object) -> list[Any]:
        raise AssertionError("only prompts are asked for")

    roller = Roller(unused, Dialogue(tokenizer), config.rollout, max_tokens=config.max_tokens, tools_of=lambda _: ())
    before = Feedback(Trajectory(answer=words(shape.completion)), "Check the last step again.")

    async def both() -> list[int]:
        return [len(await roller.opening(Asked(asked, feedback))) for feedback in (None, before)]

    return asyncio.run(both())


def _trainer(options: dict[str, Any], prompts: list[str], model: Any, tokenizer: Any, turns: Turns, ours: Any) -> Any:
    """A trainer over prompts that come again and again; `ours` samples and scores, or else TRL itself."""
    rows = [{"prompt": prompt} for prompt in prompts] * (options["max_steps"] * options["per_device_train_batch_size"])

    def constant(completions: list[Any], **_: Any) -> list[float]:
        return [0.15] * len(completions)

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*'rollout_func'.*experimental", category=UserWarning)
        return (AgentTrainer if ours else GRPOTrainer)(
            model=model,
            reward_funcs=[ours.rewards if ours else constant],
            args=GRPOConfig(**{**options, "disable_tqdm": True, "log_on_each_node": False}),
            train_dataset=Dataset.from_list(rows),
            processing_class=tokenizer,
            rollout_func=ours,
            callbacks=[turns],
        )


def hardware() -> str:
    """What it runs on, in a line."""
    if torch.cuda.is_available():
        name = torch.cuda.get_device_name()
    else:
        lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").is_file() else []
        found = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
        name = f"{next(found, platform.processor() or platform.machine())}, {torch.get_num_threads()} threads"
    return f"{name}; torch {torch.__version__}, Python {platform.python_version()}"


def main() -> None:
    """Measures, and prints what came of it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    for name in ("rows", "group", "question", "completion", "vocabulary", "hidden", "layers"):
        parser.add_argument(f"--{name}", type=int, default=getattr(Shape, name))
    parser.add_argument("--steps", type=int, default=8, help="steps of each that count")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="the figures as JSON")
    given = vars(parser.parse_args())
    steps, seed, as_json = given.pop("steps"), given.pop("seed"), given.pop("json")
    with tempfile.TemporaryDirectory() as folder:
        told = measure(Shape(**given), steps=steps, seed=seed, folder=Path(folder))
    if as_json:
        Console(soft_wrap=True).print_json(json.dumps(told))
        return
    found = told[told["measure"]]
    Console(soft_wrap=True).print(
        f"Reagent-U {found['ours']} s, stock GRPO {found['stock']} s a step: {told['measure']} time, medians of "
        f"{steps} steps in turn, {told['tokens']} tokens, prompts of {' and '.join(map(str, told['prompts']))}\n"
        f"time per sampled token: {found['ratio']} times that of stock, 95 % interval "
        f"{' to '.join(map(str, found['interval']))}, seed {seed}; the bar is {BAR}\n{told['hardware']}",
        highlight=False,
    )


if __name__ == "__main__":
    main()
