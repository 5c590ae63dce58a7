"""Offline training: labelled trajectories to Agent-RRM weights, and agents that learn from them."""
