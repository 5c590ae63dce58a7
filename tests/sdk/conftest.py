from __future__ import annotations

import sys
from pathlib import Path

import pytest

from reagent_sdk import models


@pytest.fixture
def anyio_backend() -> str:
    """The SDK runs on asyncio: aiohttp and litellm do."""
    return "asyncio"


@pytest.fixture(scope="session")
def smollm() -> Path:
    """Real weights, in the user's own cache: downloaded once per machine, not once per run."""
    return models.pull("smollm2-135m-instruct", report=lambda line: print(line, file=sys.stderr))
