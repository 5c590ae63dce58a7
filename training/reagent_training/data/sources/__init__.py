"""Converters: rows of public data sets and of our own run logs as labelled trajectories."""
