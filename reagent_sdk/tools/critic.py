"""The judge as a tool: an agent may ask for a critique of its work so far."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from reagent_sdk import scope
from reagent_sdk.errors import BudgetExceeded
from reagent_sdk.judges.base import heard
from reagent_sdk.prompts import revision_request
from reagent_sdk.task import Task
from reagent_sdk.tools.base import ToolResult
from reagent_sdk.trajectory import Trajectory

CALL_CRITIC = "call_critic"


class CriticTool:
    """Asks the run's judge about the work so far; the call counts towards the run's budget.

    Args:
        task: what is being solved.
        work: the trajectory so far.
    """

    name = CALL_CRITIC
    description = "Asks a reviewer to critique your work so far. Use it when you are unsure how to go on."
    parameters: Mapping[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}

    def __init__(self, task: Task, work: Callable[[], Trajectory]) -> None:
        self._task = task
        self._work = work

    async def call(self, arguments: Mapping[str, Any]) -> ToolResult:
        """The judge's critique, defused; an error when there is no judge, no budget for it, or it fails."""
        critique = await self.critique()
        if critique is None:
            return ToolResult.failed("NoCritique", "the reviewer is not available now; go on without it")
        return ToolResult(text=revision_request(critique))

    async def critique(self) -> str | None:
        """The bare critique of the work so far; None without a judge or a budget, or when it has nothing to say."""
        current = scope.current()
        if current.judge is None or current.meter.exhausted(2):  # the critique, and a call to make use of it
            return None
        with scope.entered(replace(current, stage="judge")):
            try:
                verdict = await heard(current.judge, self._task, self._work(), redacted=current.redacted)
            except BudgetExceeded:  # the agent may still have room to finish: a critique is only advice
                return None
        return verdict.critique or None
