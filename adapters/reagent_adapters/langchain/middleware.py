"""Critique inside the graph of `create_agent`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any, cast

import anyio
from langchain.agents.middleware import AgentMiddleware, hook_config
from langchain.agents.middleware.types import ModelRequest, ModelResponse
from langchain_core.messages import ToolMessage
from langgraph.errors import GraphBubbleUp
from langgraph.runtime import Runtime
from langgraph.types import Command

from reagent_adapters.blocking import Closing
from reagent_adapters.critique import Critique
from reagent_adapters.langchain.conduct import Conduct
from reagent_adapters.langchain.quiet import quietly
from reagent_adapters.langchain.turn import CritiqueState, Turn, run_in
from reagent_sdk.budget import Budget
from reagent_sdk.policy import Policy
from reagent_sdk.record import RunLog
from reagent_sdk.run import Run
from reagent_sdk.scope import Observer
from reagent_sdk.specs import JudgeLike

if TYPE_CHECKING:
    from langchain.agents.middleware.types import ToolCallRequest  # it lay elsewhere in langchain 1.0

ToolResult = ToolMessage | Command[Any]


class CritiqueMiddleware(AgentMiddleware[CritiqueState, Any], Closing):
    """Judges what an agent did before the agent may end, has it revise, and ends with the best answer.

        agent = create_agent(model, tools, middleware=[CritiqueMiddleware(judge="local")])

    The run lies in the graph's state: any checkpointer keeps it, and it goes on where it was, also in another process.
    The critique never stands among the messages. Put this middleware last, so that it is the first to see the end.

    Args:
        judge: who judges, see :func:`reagent_sdk.with_critique`; or a ready :class:`Critique`.
        policy: how to revise and what to keep.
        budget: limits of each turn; the agent's model calls and the judge's together.
        log: path of a run log; every run is appended to it.
        observe: called with each event of a run; the last one is `RunFinished`.
    """

    state_schema = CritiqueState

    def __init__(
        self,
        judge: JudgeLike | Critique = None,
        *,
        policy: Policy | None = None,
        budget: Budget | None = None,
        log: RunLog | str | PathLike[str] | None = None,
        observe: Observer | None = None,
    ) -> None:
        AgentMiddleware.__init__(self)
        given = judge if isinstance(judge, Critique) else Critique.of(judge, policy=policy, budget=budget, log=log)
        Closing.__init__(self, quietly(given))
        self._conduct = Conduct(self.critique, observe)

    @staticmethod
    def run_of(values: Mapping[str, Any]) -> Run | None:
        """The last run of a thread, from `agent.get_state(config).values`; None where there was none.

        A run that is still under way has the status that it would have if it ended now.
        """
        return run_in(values)

    def before_agent(self, state: CritiqueState, runtime: Runtime[Any]) -> dict[str, Any] | None:
        """Begins the run of this turn."""
        return self._conduct.begin(state)

    async def abefore_agent(self, state: CritiqueState, runtime: Runtime[Any]) -> dict[str, Any] | None:
        """Begins the run of this turn."""
        return self._conduct.begin(state)

    @hook_config(can_jump_to=["model"])
    def after_agent(self, state: CritiqueState, runtime: Runtime[Any]) -> dict[str, Any] | None:
        """Judges the attempt; has it revised or ends the run."""
        return self._portal.call(self._conduct.judge, state)

    @hook_config(can_jump_to=["model"])
    async def aafter_agent(self, state: CritiqueState, runtime: Runtime[Any]) -> dict[str, Any] | None:
        """Judges the attempt; has it revised or ends the run."""
        return await self._conduct.judge(state)

    def wrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], ModelResponse[Any]]
    ) -> ModelResponse[Any]:
        """Calls the model within the budget, with the critique at hand. Time runs out between calls, not in them."""
        turn, state = self._under_way(request.state)
        if turn is None:
            return handler(request)
        if refusal := self._conduct.refusal(turn, state):
            return refusal
        try:
            response = handler(request.override(messages=turn.advised(request.messages)))
        except Exception as error:
            return self._conduct.failed(turn, state, error)
        return self._conduct.checked(turn, request, response)

    async def awrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]]
    ) -> ModelResponse[Any]:
        """Calls the model within the budget, with the critique at hand. At the deadline the call is cancelled."""
        turn, state = self._under_way(request.state)
        if turn is None:
            return await handler(request)
        if refusal := self._conduct.refusal(turn, state):
            return refusal
        try:
            with anyio.move_on_after(self._conduct.seconds_left(turn, state)):
                response = await handler(request.override(messages=turn.advised(request.messages)))
                return self._conduct.checked(turn, request, response)
        except Exception as error:
            return self._conduct.failed(turn, state, error)
        return self._conduct.over("seconds", turn, state, "the budget of seconds ran out during the agent's call")

    def wrap_tool_call(self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], ToolResult]) -> ToolResult:
        """Calls the tool. An error while revising would cost the draft; it becomes a result that says so."""
        try:
            return handler(request)
        except Exception as error:
            return self._failed_tool(request, error)

    async def awrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Awaitable[ToolResult]]
    ) -> ToolResult:
        """Like :meth:`wrap_tool_call`."""
        try:
            return await handler(request)
        except Exception as error:
            return self._failed_tool(request, error)

    def _under_way(self, state: Any) -> tuple[Turn | None, Mapping[str, Any]]:
        values = cast(Mapping[str, Any], state)
        return Turn.in_state(values), values

    def _failed_tool(self, request: ToolCallRequest, error: Exception) -> ToolMessage:
        turn, _ = self._under_way(request.state)
        if isinstance(error, GraphBubbleUp) or turn is None or not turn.endings:
            raise error
        call = request.tool_call
        text = f"The tool failed with {type(error).__name__}: {error}"
        return ToolMessage(text, tool_call_id=call["id"] or "", name=call["name"], status="error")
