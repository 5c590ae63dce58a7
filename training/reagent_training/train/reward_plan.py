"""What a run on rewards will take: prompts, replies, memory and time, at most.

A reply counts as long as it may get. For each reply: a forward pass over prompt and reply to sample it, one more to
score it where a reference is needed, forward and backward to learn from it. Sampling one token at a time reads all
weights for each: on a GPU without vLLM it takes longer than its operations say.
"""

from __future__ import annotations

from reagent_training.train.grpo import Prepared
from reagent_training.train.grpo_config import GrpoConfig
from reagent_training.train.grpo_settings import updates
from reagent_training.train.plan import UTILISATION, Plan, Shape, device_of, speed_of
from reagent_training.train.running import world_size


def plan_for_rewards(config: GrpoConfig, ready: Prepared) -> Plan:
    """The plan of a run; `tokens` are those of all prompts, `target_tokens` the longest replies to them, once each."""
    device, world = device_of(config), world_size()
    shape = Shape(config, ready.start.model)
    if ready.start.new_adapter is None:  # the adapter of the start is trained further, whatever its shape
        shape.trained = sum(p.numel() for p in ready.start.model.parameters() if p.requires_grad)
    lengths = [
        len(ready.start.tokenizer.apply_chat_template(one, return_dict=True)["input_ids"]) for one in ready.prompts
    ]
    reply, how = config.rollout.max_new_tokens, config.optimiser
    count = updates(config, len(ready.rows))
    mean = sum(lengths) / len(lengths) + reply
    replies = count // config.objective.iterations * how.batch * how.accumulate * world
    sampling = 2 * shape.parameters * mean * (2 if config.objective.beta else 1)
    learning = config.objective.iterations * shape.operations(round(mean), reply)
    return Plan(
        rows=len(ready.rows),
        left_out=ready.left_out,
        tokens=sum(lengths),
        target_tokens=reply * len(lengths),
        longest=max(lengths) + reply,
        updates=count,
        parameters=shape.parameters,
        trained=shape.trained,
        memory_gb=round(shape.memory(max(lengths) + reply, reply) / 1e9, 1),
        hours=round(replies * (sampling + learning) / (speed_of(device, config.dtype) * UTILISATION * world) / 3600, 2),
        device=device,
    )
