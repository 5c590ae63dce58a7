"""The group `reagent train`. What a command needs is imported when it runs."""

from __future__ import annotations

import typer

from reagent_training.scale.command import PLAN_EXAMPLES, plan
from reagent_training.train.commands import agents, compare, learning_curve, recipes

app = typer.Typer(help="Train judges and agents, and measure them.")


@app.callback()
def root() -> None:
    """Train judges and agents, and measure them."""


app.command("rrm-sft", short_help="A judge learns format, words and score.", epilog=recipes.SFT_EXAMPLES)(
    recipes.rrm_sft
)
app.command("rrm-grpo", short_help="A judge learns from the reward of its replies.", epilog=recipes.GRPO_EXAMPLES)(
    recipes.rrm_grpo
)
app.command("critic-outcome", short_help="A critic learns from what comes of it.", epilog=recipes.CRITIC_EXAMPLES)(
    recipes.critic_outcome
)
app.command("agent-sft", short_help="An agent learns from work that came out right.", epilog=agents.SFT_EXAMPLES)(
    agents.agent_sft
)
app.command("agent-grpo", short_help="An agent learns from right answers.", epilog=agents.GRPO_EXAMPLES)(
    agents.agent_grpo
)
app.command("reagent-r", short_help="An agent learns from answers and scores.", epilog=agents.R_EXAMPLES)(
    agents.reagent_r
)
app.command("reagent-u", short_help="An agent learns from critiques as well.", epilog=agents.U_EXAMPLES)(
    agents.reagent_u
)
app.command("compare", short_help="Judges side by side on held-out work.", epilog=compare.EXAMPLES)(compare.compare)
app.command("learning-curve", short_help="What a judge knew at each checkpoint.", epilog=learning_curve.EXAMPLES)(
    learning_curve.learning_curve
)
app.command("plan", short_help="Agent training on many GPUs: memory, time, commands.", epilog=PLAN_EXAMPLES)(plan)
