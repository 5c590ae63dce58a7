"""Reagent SDK: a critique layer for any agent."""
