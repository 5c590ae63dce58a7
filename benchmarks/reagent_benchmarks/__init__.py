"""Benchmarks of agents with and without critique, and of the judges themselves."""
