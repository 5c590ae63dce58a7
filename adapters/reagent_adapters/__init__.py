"""Reagent critique for the frameworks people already have; one file per framework."""
