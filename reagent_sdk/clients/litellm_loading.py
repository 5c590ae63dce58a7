"""Brings litellm in when it is first used, quietly."""

from __future__ import annotations

import importlib
import os
import warnings
from collections.abc import Sequence
from typing import Any


def key_names(model: str) -> Sequence[str]:
    """The environment variables that litellm would take this provider's key from."""
    litellm = importlib.import_module("litellm")
    return tuple(str(name) for name in litellm.validate_environment(model=model).get("missing_keys") or ())


async def load_litellm() -> Any:
    """The litellm module, imported in a worker thread: it takes seconds the first time."""
    import anyio.to_thread

    return await anyio.to_thread.run_sync(_import, abandon_on_cancel=True)


def _import() -> Any:
    # Otherwise it fetches its price list from the network while it is imported.
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    litellm: Any = importlib.import_module("litellm")
    litellm.suppress_debug_info = True  # its hints go to standard output
    litellm.telemetry = False
    # Its reply types are completed when the first one is made, with a warning about litellm's own code.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*using the `ReadOnly` qualifier", category=UserWarning)
        litellm.ModelResponse(choices=[{"message": {"content": ""}}])
    return litellm
