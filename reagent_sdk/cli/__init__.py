"""The `reagent` command. One file a command group; what a command needs is imported when it runs."""

from reagent_sdk.cli.app import app, main

__all__ = ["app", "main"]
