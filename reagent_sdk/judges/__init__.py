"""Judges: whatever turns a task and a trajectory into a verdict."""
