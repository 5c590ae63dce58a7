"""The group `reagent train`. What a command needs is imported when it runs."""

from __future__ import annotations

import typer

from reagent_training.train.commands import compare, recipes

app = typer.Typer(help="Train a judge on labelled trajectories, and measure it.")


@app.callback()
def root() -> None:
    """Train a judge on labelled trajectories, and measure it."""


app.command("rrm-sft", short_help="A judge learns format, words and score.", epilog=recipes.SFT_EXAMPLES)(
    recipes.rrm_sft
)
app.command("rrm-grpo", short_help="A judge learns from the reward of its replies.", epilog=recipes.GRPO_EXAMPLES)(
    recipes.rrm_grpo
)
app.command("critic-outcome", short_help="A critic learns from what comes of it.", epilog=recipes.CRITIC_EXAMPLES)(
    recipes.critic_outcome
)
app.command("compare", short_help="Judges side by side on held-out work.", epilog=compare.EXAMPLES)(compare.compare)
