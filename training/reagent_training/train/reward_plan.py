"""What a run on rewards will take: prompts, replies, memory and time, at most.

A reply counts as long as it may get. For each reply: a forward pass over prompt and reply to sample it, one more to
score it where a reference is needed, forward and backward to learn from it. Sampling one token at a time reads all
weights for each: on a GPU without vLLM it takes longer than its operations say.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reagent_training.train.grpo import Prepared
from reagent_training.train.grpo_config import GrpoConfig, RewardedConfig
from reagent_training.train.grpo_settings import updates
from reagent_training.train.plan import UTILISATION, Plan, Shape, device_of, speed_of
from reagent_training.train.running import world_size
from reagent_training.train.start import Start


def plan_for_rewards(config: GrpoConfig, ready: Prepared) -> Plan:
    """The plan of a run; `tokens` are those of all prompts, `target_tokens` the longest replies to them, once each."""
    lengths = [
        len(ready.start.tokenizer.apply_chat_template(one, return_dict=True)["input_ids"]) for one in ready.prompts
    ]
    reply, rows = config.rollout.max_new_tokens, len(ready.rows)
    mean = sum(lengths) / len(lengths) + reply
    told = {"rows": rows, "left_out": ready.left_out, "tokens": sum(lengths), "target_tokens": reply * len(lengths)}
    return plan_of(config, ready.start, mean=mean, longest=max(lengths) + reply, reply=reply, told=told)


def plan_of(
    config: RewardedConfig, start: Start, *, mean: float, longest: int, reply: int, told: Mapping[str, Any]
) -> Plan:
    """The plan of any run on rewards.

    Args:
        config: the run's.
        start: the weights that are trained further.
        mean: tokens of a sequence, prompt included, on average.
        longest: tokens of the longest.
        reply: how many of them are sampled, at most.
        told: rows, left_out, tokens and target_tokens of the plan.
    """
    device, world, how = device_of(config), world_size(), config.optimiser
    shape = Shape(config, start.model)
    if start.new_adapter is None:  # the adapter of the start is trained further, whatever its shape
        shape.trained = sum(p.numel() for p in start.model.parameters() if p.requires_grad)
    count = updates(config, told["rows"])
    replies = count // config.objective.iterations * how.batch * how.accumulate * world
    sampling = 2 * shape.parameters * mean * (2 if config.objective.beta else 1)
    learning = config.objective.iterations * shape.operations(round(mean), reply)
    speed = speed_of(device, config.dtype) * UTILISATION * world
    return Plan(
        **told,
        longest=longest,
        updates=count,
        parameters=shape.parameters,
        trained=shape.trained,
        memory_gb=round(shape.memory(longest, reply) / 1e9, 1),
        hours=round(replies * (sampling + learning) / speed / 3600, 2),
        device=device,
    )
