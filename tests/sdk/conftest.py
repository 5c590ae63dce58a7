from __future__ import annotations

import sys
from pathlib import Path

import pytest

from reagent_sdk import models

sys.path.insert(0, str(Path(__file__).parent / "helpers"))


@pytest.fixture
def anyio_backend() -> str:
    """The SDK runs on asyncio: aiohttp and litellm do."""
    return "asyncio"


@pytest.fixture(scope="session")
def smollm() -> Path:
    """Real weights, in the user's own cache: downloaded once per machine, not once per run."""
    return models.pull("smollm2-135m-instruct", report=lambda line: sys.stderr.write(f"{line}\n"))


@pytest.fixture(scope="session")
def smollm_hf(smollm: Path) -> Path:
    """The same weights as a Hugging Face folder, in the same cache: made once per machine, for reading only."""
    return models.unpacked(smollm.parent.name)
