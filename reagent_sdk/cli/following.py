"""Runs an agent and shows what it does."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from reagent_sdk.errors import ReagentError
from reagent_sdk.events import Event, RunFinished

if TYPE_CHECKING:
    from reagent_sdk.critic import CritiqueAgent
    from reagent_sdk.run import Run


async def follow(agent: CritiqueAgent[..., Any], question: str, show: Callable[[Event], None]) -> Run:
    """Runs the agent on a question and shows every event. A cancelled run is in the log all the same.

    Raises:
        Exception: what the run raises.
    """
    async with aclosing(agent.astream(question)) as events:
        async for event in events:
            show(event)
            if isinstance(event, RunFinished):
                return event.run
    raise ReagentError("the run ended without a result")
