"""Runs an agent and shows what it does."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from reagent_sdk.errors import ReagentError
from reagent_sdk.events import Event, RunFinished

if TYPE_CHECKING:
    from reagent_sdk.critique_agent import CritiqueAgent
    from reagent_sdk.run import Run


async def follow(agent: CritiqueAgent[..., Any], question: str, show: Callable[[Event], None]) -> Run:
    """Runs the agent on a question and shows every event. A cancelled run is in the log all the same.

    Raises:
        Exception: what the run raises.
    """
    run: Run | None = None
    async with aclosing(agent.astream(question)) as events:
        async for event in events:  # to the very end: the run is logged after its last event
            show(event)
            run = event.run if isinstance(event, RunFinished) else run
    if run is None:
        raise ReagentError("the run ended without a result")
    return run
