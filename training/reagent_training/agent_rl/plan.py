"""What a run of an agent will take, told before it starts: updates, tokens, memory and time, at most.

A rollout counts as long as it may get (`max_tokens`). Each is read and written once to sample it, and gone through
forth and back to learn from it; a revision is a rollout of its own. The judge's work is not counted.
"""

from __future__ import annotations

from reagent_training.agent_rl.config import AgentConfig
from reagent_training.agent_rl.recipe import Prepared
from reagent_training.train.grpo_settings import updates
from reagent_training.train.plan import UTILISATION, Plan, Shape, device_of, speed_of
from reagent_training.train.running import world_size


def plan_for_agent(config: AgentConfig, ready: Prepared) -> Plan:
    """The plan of a run; `tokens` are those of one rollout of each task, at most, and all of them targets."""
    device, world, how = device_of(config), world_size(), config.optimiser
    shape = Shape(config, ready.start.model)
    if ready.start.new_adapter is None:  # the adapter of the start is trained further, whatever its shape
        shape.trained = sum(p.numel() for p in ready.start.model.parameters() if p.requires_grad)
    count, longest = updates(config, len(ready.tasks.questions)), config.max_tokens
    rollouts = count // config.objective.iterations * how.batch * how.accumulate * world
    sampling = 2 * shape.parameters * longest * (2 if config.objective.beta else 1)
    learning = config.objective.iterations * shape.operations(longest, longest)
    speed = speed_of(device, config.dtype) * UTILISATION * world
    return Plan(
        rows=len(ready.tasks.questions),
        left_out=ready.left_out,
        tokens=longest * len(ready.tasks.questions),
        target_tokens=longest * len(ready.tasks.questions),
        longest=longest,
        updates=count,
        parameters=shape.parameters,
        trained=shape.trained,
        memory_gb=round(shape.memory(longest, longest) / 1e9, 1),
        hours=round(rollouts * (sampling + learning) / speed / 3600, 2),
        device=device,
    )
