"""Where files live on the user's machine: `$REAGENT_HOME` for all of them, else the XDG folders."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_cache_path, user_data_path


def models_dir() -> Path:
    """Folder of downloaded model weights; may not exist yet."""
    return (_override() or user_cache_path("reagent")) / "models"


def benchmarks_dir() -> Path:
    """Folder of benchmark files that came from the hub; may not exist yet."""
    return (_override() or user_cache_path("reagent")) / "benchmarks"


def runs_file() -> Path:
    """The default run log of the command line; may not exist yet."""
    return (_override() or user_data_path("reagent")) / "runs.jsonl"


def _override() -> Path | None:
    given = os.environ.get("REAGENT_HOME")
    return Path(given).expanduser() if given else None
