"""The paper in miniature: base, agent SFT, Reagent-C, GRPO, Reagent-R and Reagent-U on generated tool tasks."""
