"""`reagent train rrm-sft` and its like: a configuration in, a folder of weights out."""

from __future__ import annotations

from reagent_sdk.cli.options import JsonOption
from reagent_training.train.commands.shared import (
    ConfigArgument,
    DryRunOption,
    OutOption,
    SetOption,
    changes_of,
    needs_training,
    run_on_rewards,
    run_supervised,
)

SFT_EXAMPLES = """\b
Examples:
  reagent train rrm-sft training/recipes/rrm_sft_smoke.yaml --out runs/smoke
  reagent train rrm-sft training/recipes/agent_rrm_tiny.yaml --out runs/tiny --dry-run
  reagent train rrm-sft judge.yaml --out runs/judge --set optimiser.max_steps=200 --set seed=1
"""
GRPO_EXAMPLES = """\b
Examples:
  reagent train rrm-grpo training/recipes/rrm_grpo_smoke.yaml --out runs/smoke-grpo
  reagent train rrm-grpo training/recipes/rrm_grpo_1gpu.yaml --out runs/grpo --dry-run
"""
CRITIC_EXAMPLES = """\b
Example:
  reagent train critic-outcome training/recipes/critic_outcome_smoke.yaml --out runs/smoke-critic
"""


def rrm_sft(
    config: ConfigArgument,
    out: OutOption,
    changes: SetOption = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Supervised training of a judge: analysis, critique and score from labelled trajectories.

    The folder that comes out is a judge: `--judge local:FOLDER`. A run that was interrupted goes on when the same
    command is given again.
    """
    needs_training()
    from reagent_training.train import rrm_sft as recipe
    from reagent_training.train.config import SftConfig, load_config

    settings = load_config(config, SftConfig, changes_of(changes))
    run_supervised(recipe, settings, out, dry_run=dry_run, as_json=as_json)


def rrm_grpo(
    config: ConfigArgument,
    out: OutOption,
    changes: SetOption = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Train a judge on the reward of its own replies: a proper scoring rule of its score, comparisons, no leaks.

    `init` in CONFIG is the folder of a judge that rrm-sft made.
    """
    needs_training()
    from reagent_training.train import rrm_grpo as recipe
    from reagent_training.train.config import load_config
    from reagent_training.train.grpo_config import GrpoRrmConfig
    from reagent_training.train.reward_plan import plan_for_rewards

    settings = load_config(config, GrpoRrmConfig, changes_of(changes))
    run_on_rewards(recipe, settings, out, plan_for_rewards, dry_run=dry_run, as_json=as_json)


def critic_outcome(
    config: ConfigArgument,
    out: OutOption,
    changes: SetOption = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Train a critic on the success of a frozen agent's revision after its critique.

    `init` in CONFIG is the folder of a judge, `agent.spec` the agent. Rows need right answers in metadata.reference, as
    `reagent data sample` writes them.
    """
    needs_training()
    from reagent_training.train import critic_outcome as recipe
    from reagent_training.train.config import load_config
    from reagent_training.train.critic_config import CriticConfig
    from reagent_training.train.reward_plan import plan_for_rewards

    settings = load_config(config, CriticConfig, changes_of(changes))
    run_on_rewards(recipe, settings, out, plan_for_rewards, dry_run=dry_run, as_json=as_json)
