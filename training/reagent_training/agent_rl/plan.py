"""What a run of an agent will take, told before it starts: updates, tokens, memory and time, at most.

A rollout counts as long as it may get (`max_tokens`). Each is read and written once to sample it, and gone through
forth and back to learn from it; a revision is a rollout of its own. The judge's work is not counted.
"""

from __future__ import annotations

from reagent_training.agent_rl.config import AgentConfig
from reagent_training.agent_rl.recipe import Prepared
from reagent_training.train.plan import Plan
from reagent_training.train.reward_plan import plan_of


def plan_for_agent(config: AgentConfig, ready: Prepared) -> Plan:
    """The plan of a run; `tokens` are those of one rollout of each task, at most, and all of them targets."""
    tasks, longest = len(ready.tasks.questions), config.max_tokens
    tokens = longest * tasks
    told = {"rows": tasks, "left_out": ready.left_out, "tokens": tokens, "target_tokens": tokens}
    return plan_of(config, ready.start, mean=longest, longest=longest, reply=longest, told=told)
