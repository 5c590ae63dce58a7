"""`reagent train agent-sft`, `agent-grpo`, `reagent-r` and `reagent-u`: a configuration in, an agent's weights out."""

from __future__ import annotations

from pathlib import Path

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
  reagent train agent-sft training/recipes/agent_sft_smoke.yaml --out runs/smoke
  reagent train agent-sft agent.yaml --out runs/sft --set revision_share=0.3 --dry-run
"""
GRPO_EXAMPLES = """\b
Examples:
  reagent train agent-grpo training/recipes/agent_smoke.yaml --out runs/grpo --set recipe=agent-grpo --set judge=null
  reagent train agent-grpo agent.yaml --out runs/grpo --dry-run
"""
R_EXAMPLES = """\b
Example:
  reagent train reagent-r training/recipes/agent_smoke.yaml --out runs/r
"""
U_EXAMPLES = """\b
Examples:
  reagent train reagent-u training/recipes/agent_smoke.yaml --out runs/u
  reagent train reagent-u agent.yaml --out runs/u --set judge.weight=0.2 --set rollout.group=4
"""


def agent_sft(
    config: ConfigArgument,
    out: OutOption,
    changes: SetOption = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Supervised training of an agent on work that came out right: its calls and answers, not the tools' results.

    The folder that comes out is where agent-grpo, reagent-r and reagent-u begin: `init`.
    """
    needs_training()
    from reagent_training.agent_rl import sft as recipe
    from reagent_training.agent_rl.sft_config import AgentSftConfig
    from reagent_training.train.config import load_config

    settings = load_config(config, AgentSftConfig, changes_of(changes))
    run_supervised(recipe, settings, out, dry_run=dry_run, as_json=as_json)


def agent_grpo(
    config: ConfigArgument,
    out: OutOption,
    changes: SetOption = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Train an agent on whether its answers are right (GRPO on the rule reward alone, the baseline).

    Tasks are worked on with their real tools. `init` in CONFIG is the folder of an agent that agent-sft made.
    """
    _learn("agent-grpo", config, out, changes, dry_run=dry_run, as_json=as_json)


def reagent_r(
    config: ConfigArgument,
    out: OutOption,
    changes: SetOption = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Train an agent on right answers and on the judge's score of its work: R = rule + lambda * score.

    An attempt that the judge could not score is left out, and never counted as 0.
    """
    _learn("reagent-r", config, out, changes, dry_run=dry_run, as_json=as_json)


def reagent_u(
    config: ConfigArgument,
    out: OutOption,
    changes: SetOption = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Train an agent on first attempts and on their revisions after the judge's critique, as one pool.

    The agent that comes out works alone, without a judge.
    """
    _learn("reagent-u", config, out, changes, dry_run=dry_run, as_json=as_json)


def _learn(recipe: str, config: Path, out: Path, changes: list[str] | None, *, dry_run: bool, as_json: bool) -> None:
    needs_training()
    from reagent_training.agent_rl import recipe as learning
    from reagent_training.agent_rl.config import AgentConfig
    from reagent_training.agent_rl.plan import plan_for_agent
    from reagent_training.train.config import load_config

    settings = load_config(config, AgentConfig, {"recipe": recipe, **changes_of(changes)})
    run_on_rewards(learning, settings, out, plan_for_agent, dry_run=dry_run, as_json=as_json)
