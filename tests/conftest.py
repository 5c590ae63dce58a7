from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real public data, which is not part of the repository."""
    folder = Path(os.environ.get("REAGENT_DATA") or Path(__file__).parents[2] / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no data at {folder}; set REAGENT_DATA to a folder that holds the public data sets")
    return folder
