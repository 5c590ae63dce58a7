"""A recipe's settings as TRL's GRPOConfig takes them, and how many prompts and updates they come to."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from reagent_sdk.errors import InvalidInput
from reagent_training.train.grpo_config import RewardedConfig
from reagent_training.train.running import trainer_settings, world_size


def batch_size(config: RewardedConfig) -> int:
    """How many prompts an update takes, over all processes.

    Raises:
        InvalidInput: the replies of an update do not make whole groups.
    """
    how, group, processes = config.optimiser, config.replies, world_size()
    times = "rollout.group" if group == config.rollout.group else "twice rollout.group"
    replies = how.batch * how.accumulate * processes
    if replies % group:
        raise InvalidInput(
            f"an update takes optimiser.batch {how.batch} x accumulate {how.accumulate} x {processes} processes = "
            f"{replies} replies, which is no multiple of {times} {config.rollout.group}"
        )
    return replies // group


def updates(config: RewardedConfig, rows: int) -> int:
    """How many updates a run makes: `max_steps`, or as many as the epochs take."""
    how, iterations = config.optimiser, config.objective.iterations
    return how.max_steps or max(1, round(rows * how.epochs / batch_size(config))) * iterations


def generations(config: RewardedConfig, rows: int) -> int:
    """How often replies are sampled: once for `objective.iterations` updates."""
    return math.ceil(updates(config, rows) / config.objective.iterations)


def grpo_settings(config: RewardedConfig, out: Path, rows: int) -> dict[str, Any]:
    """The arguments of TRL's configuration.

    Args:
        config: the recipe's.
        out: the folder of the run.
        rows: how many there are to train on.
    """
    rollout, objective = config.rollout, config.objective
    settings = trainer_settings(config, out) | {
        "num_train_epochs": 1,
        "max_steps": updates(config, rows),
        "shuffle_dataset": False,  # the plan is the order
        "num_generations": config.replies,
        "temperature": rollout.temperature,
        "top_p": rollout.top_p,
        "max_completion_length": rollout.max_new_tokens,
        "loss_type": objective.loss,
        "beta": objective.beta,
        "use_bias_correction_kl": objective.divergence == "unbiased",
        "epsilon": objective.epsilon_low,
        "epsilon_high": objective.epsilon_high,
        "scale_rewards": objective.scale,
        "num_iterations": objective.iterations,
    }
    if (vllm := rollout.vllm) is not None:
        settings |= {
            "use_vllm": True,
            "vllm_mode": vllm.mode,
            "vllm_server_base_url": vllm.server,
            "vllm_gpu_memory_utilization": vllm.memory,
            "vllm_tensor_parallel_size": vllm.tensor_parallel,
            "vllm_enable_sleep_mode": vllm.sleep,
            "vllm_importance_sampling_mode": vllm.correction,
        }
    return settings
