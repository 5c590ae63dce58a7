"""`reagent bench`: the commands of the benchmarks. What a command needs is imported when it runs."""

from reagent_benchmarks.cli.app import app

__all__ = ["app"]
