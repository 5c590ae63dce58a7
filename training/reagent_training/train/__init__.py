"""Training: recipes that make a judge of labelled trajectories, on TRL."""
