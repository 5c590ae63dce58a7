"""Agents that learn from scores and critiques: SFT, GRPO, Reagent-R, Reagent-U."""
