"""The `reagent` command."""
