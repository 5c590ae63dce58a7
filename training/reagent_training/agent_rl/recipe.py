"""GRPO, Reagent-R and Reagent-U: an agent learns from what its answers and its work are worth.

tasks -> rollouts with real tools, judged and, for U, revised and judged again (`stages`) -> TRL's GRPOTrainer.

All of the sampling happens in TRL's `rollout_func`; loss, clipping, divergence, optimiser and checkpoints are TRL's.
"""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reagent_sdk.errors import InvalidInput
from reagent_sdk.judges.queue import JudgeQueue
from reagent_training.agent_rl.config import AgentConfig
from reagent_training.agent_rl.dialogue import Dialogue
from reagent_training.agent_rl.generation import TrlGenerator
from reagent_training.agent_rl.judging import check_judge, judge_queue
from reagent_training.agent_rl.rollouts import Asked, Roller
from reagent_training.agent_rl.samples import Samples
from reagent_training.agent_rl.stages import sampled
from reagent_training.agent_rl.tasks import TaskSet, read_tasks
from reagent_training.agent_rl.update import REWARD, as_batch, figures, logged
from reagent_training.train.batches import planned
from reagent_training.train.grpo_settings import batch_size, generations, grpo_settings
from reagent_training.train.running import check_processes, finish, resume_from
from reagent_training.train.start import Start, check_start, load_start, weights_of
from reagent_training.train.weights import load_tokenizer, window_of


@dataclass(frozen=True)
class Prepared:
    """What a run works with.

    Attributes:
        tasks: questions, rules and tools.
        start: the weights that are trained further, and their tokenizer.
        left_out: tasks that are not trained on, by reason.
        notes: what the reader of the report should know.
    """

    tasks: TaskSet
    start: Start
    left_out: dict[str, int]
    notes: list[str]


def prepare(config: AgentConfig) -> Prepared:
    """Everything up to the first update.

    Raises:
        InvalidInput: settings that do not go together, weights of another role, no such judge, or no task that fits;
            nothing heavy has been loaded then.
        WeightsUnavailable: weights are missing.
    """
    batch_size(config)
    if config.judge:
        check_judge(config.judge)
    tasks = read_tasks(config)
    if warning := check_start(config):
        warnings.warn(warning, RuntimeWarning, stacklevel=2)
    source = weights_of(config)
    if (window := window_of(source)) is not None and config.max_tokens > window:
        raise InvalidInput(f"max_tokens {config.max_tokens} is more than the window of {source}, {window} tokens")
    kept, left_out = _fitting(tasks, config, load_tokenizer(source))
    if not kept.questions:
        raise InvalidInput(f"no task can be trained on: {left_out}; raise max_tokens, or lower rollout.max_new_tokens")
    return Prepared(kept, load_start(config), left_out, [warning] if warning else [])


def run(config: AgentConfig, out: Path, judge: JudgeQueue | None = None) -> dict[str, Any]:
    """Trains an agent, or goes on where an interrupted run stopped, and writes it to `out`.

    Args:
        config: the recipe's.
        out: the folder of the run.
        judge: by default the one that the configuration names.

    Returns:
        The report, as in `out/report.json`.

    Raises:
        InvalidInput: bad tasks or settings, or `out` holds another run; nothing has been written then.
        WeightsUnavailable: weights are missing.
        JudgeDown: the judge failed for too long; the same command goes on from the last checkpoint.
        RuntimeError: not as many processes work together as were started.
    """
    from trl import GRPOConfig

    from reagent_training.agent_rl.trainer import AgentTrainer

    ready = prepare(config)
    checkpoint = resume_from(out, config)
    if config.judge and judge is None:
        judge = judge_queue(config.judge, seed=config.seed)
    with Sampler(config, ready, judge, Samples(out, config)) as sampler, warnings.catch_warnings():
        # it may change without notice, and that is why TRL is pinned
        warnings.filterwarnings("ignore", message=".*'rollout_func'.*experimental", category=UserWarning)
        trainer = AgentTrainer(
            model=ready.start.model,
            reward_funcs=[sampler.rewards],
            args=GRPOConfig(
                **grpo_settings(config, out, len(ready.tasks.questions)),
                mask_truncated_completions=config.mask_truncated,
            ),
            train_dataset=_data_set(config, ready.tasks),
            processing_class=ready.start.tokenizer,
            peft_config=ready.start.new_adapter,
            rollout_func=sampler,
        )
        check_processes(trainer)
        trainer.train(resume_from_checkpoint=checkpoint)
    if "ref" in getattr(trainer.model, "peft_config", {}):  # what beta measures from is no part of the agent
        trainer.model.delete_adapter("ref")
    facts = {"tasks": len(ready.tasks.questions), "left_out": ready.left_out, "notes": ready.notes}
    report = finish(trainer, config, out, facts=facts, sources=ready.tasks.sources)
    sampler.samples.write_page()
    return report


class Sampler:
    """What TRL calls for the rollouts of a batch, and for their rewards.

    Args:
        config: the recipe's.
        ready: what the run works with.
        judge: who judges; None for rewards from the rule alone.
        samples: keeps some rollouts to look at.
    """

    def __init__(self, config: AgentConfig, ready: Prepared, judge: JudgeQueue | None, samples: Samples) -> None:
        self._config = config
        self._tasks = {question.name: question for question in ready.tasks.questions}
        self._task_set = ready.tasks
        self._dialogue = Dialogue(ready.start.tokenizer)
        self._judge = judge
        self._loop = asyncio.Runner()
        self._figures: dict[str, list[float]] = {}
        self.samples = samples

    def __enter__(self) -> Sampler:
        return self

    def __exit__(self, *_: object) -> None:
        with self._loop:
            self._loop.run(self._task_set.memory.aclose())
            if self._judge is not None:
                self._loop.run(self._judge.aclose())

    def __call__(self, prompts: Sequence[str], trainer: Any) -> dict[str, Any]:
        """TRL's `rollout_func`. A prompt is the name of a task: what the policy reads is the agent's business."""
        from accelerate.utils import gather_object

        generator = TrlGenerator(trainer, self._dialogue.end)
        roller = _roller(self._config, generator, self._dialogue, self._task_set)
        questions = [self._tasks[name] for name in prompts]
        rows = self._loop.run(sampled(questions, self._config, roller, self._judge))
        generator.finish()
        self._figures = figures(rows)
        self.samples.keep(trainer.state.global_step, rows)
        return as_batch(
            rows,
            end=self._dialogue.end,
            group=self._config.replies,
            drop=self._config.degenerate == "drop",
            gather=gather_object,
        )

    def rewards(self, prompts: Sequence[str], completions: Sequence[Any], **columns: Any) -> list[float | None]:
        """TRL's reward function: what came along with the rollouts, and the figures of the update for its log."""
        logged(self._figures, columns["log_metric"])
        told: list[float | None] = columns[REWARD]
        return told


def _roller(config: AgentConfig, generator: Any, dialogue: Dialogue, tasks: TaskSet) -> Roller:
    room = config.max_tokens
    return Roller(generator, dialogue, config.rollout, max_tokens=room, tools_of=tasks.tools_of, right_of=tasks.right)


def _fitting(tasks: TaskSet, config: AgentConfig, tokenizer: Any) -> tuple[TaskSet, dict[str, int]]:
    """The tasks whose prompt leaves room for a turn; the others are counted, never cut."""

    def nothing(prompts: Sequence[Sequence[int]]) -> list[Any]:
        raise AssertionError("only prompts are asked for")

    roller = _roller(config, nothing, Dialogue(tokenizer), tasks)

    async def lengths() -> list[int]:
        return [len(await roller.opening(Asked(question))) for question in tasks.questions]

    room = config.max_tokens - config.rollout.max_new_tokens
    fits = [length <= room for length in asyncio.run(lengths())]
    out = len(fits) - sum(fits)
    left_out = {f"prompts of more than {room} tokens": out} if out else {}
    return tasks.only(fits), left_out


def _data_set(config: AgentConfig, tasks: TaskSet) -> Any:
    """All tasks of the run in the order of its plan; see `train.batches`."""
    from datasets import Dataset

    count = len(tasks.questions)
    plan = planned(
        [[place] for place in range(count)],
        size=batch_size(config),
        count=generations(config, count),
        seed=config.seed,
    )
    names = [question.name for question in tasks.questions]
    return Dataset.from_list([{"prompt": names[place]} for batch in plan for place in batch])
