"""Critique for pydantic-ai: an agent around an agent, whose result is that of the best attempt.

agent = CritiqueAgent(Agent("openai:gpt-5-mini", output_type=Invoice), judge="local")
result = agent.run_sync("What do 12 eggs cost?")
print(result.output, run_of(result).why)
"""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from os import PathLike
from typing import Any, Self

from reagent_adapters.blocking import Closing
from reagent_adapters.critique import Critique
from reagent_adapters.results import answer_text, run_of, with_run
from reagent_adapters.versions import require
from reagent_sdk.budget import Budget
from reagent_sdk.errors import InvalidInput
from reagent_sdk.policy import Policy
from reagent_sdk.record import RunLog
from reagent_sdk.specs import JudgeLike

require("pydantic-ai-slim", "pydantic-ai")

from pydantic_ai import AgentRunResult, AgentRunResultEvent  # noqa: E402
from pydantic_ai.agent import AbstractAgent, WrapperAgent  # noqa: E402
from pydantic_ai.messages import FinalResultEvent, PartStartEvent, TextPart  # noqa: E402
from pydantic_ai.output import OutputDataT  # noqa: E402
from pydantic_ai.result import StreamedRunResult  # noqa: E402
from pydantic_ai.tools import AgentDepsT  # noqa: E402

from reagent_adapters.pydantic_ai_attempts import Attempts, Waiting  # noqa: E402
from reagent_adapters.pydantic_ai_validator import output_critic  # noqa: E402

__all__ = ["CritiqueAgent", "output_critic", "run_of"]


class CritiqueAgent(WrapperAgent[AgentDepsT, OutputDataT], Closing):
    """An agent that works as the wrapped one, judges each attempt and returns the `AgentRunResult` of the best one.

    `run_of(result)` is the run behind a result. The chosen result's messages read as if it had been the only attempt,
    so `all_messages()` is the next turn's `message_history`. Its usage is that of all attempts together.

    `iter` is the wrapped agent's: it shows the nodes of one attempt, and nobody judges them.

    Args:
        wrapped: the agent that works.
        judge: a spec, a function `(task, trajectory)`, a Judge or a list of them.
        policy: how to revise and what to keep.
        budget: limits of each run; each model request is counted before it is made.
        log: path of a run log.

    Raises:
        InvalidInput: as :meth:`Critique.of` says.
    """

    def __init__(
        self,
        wrapped: AbstractAgent[AgentDepsT, OutputDataT],
        judge: JudgeLike = None,
        *,
        policy: Policy | None = None,
        budget: Budget | None = None,
        log: RunLog | str | PathLike[str] | None = None,
    ) -> None:
        WrapperAgent.__init__(self, wrapped)
        Closing.__init__(self, Critique.of(judge, policy=policy, budget=budget, log=log))

    async def __aenter__(self) -> Self:
        """Enters the wrapped agent: its MCP servers and the like. The judge is closed by :meth:`aclose`."""
        await self.wrapped.__aenter__()
        return self

    async def __aexit__(self, *args: Any) -> None:
        """Leaves the wrapped agent."""
        await self.wrapped.__aexit__(*args)

    async def run(self, user_prompt: Any = None, **options: Any) -> AgentRunResult[Any]:
        """Runs the agent and returns the result of the chosen attempt.

        A result that waits for deferred tool calls is returned unjudged; go on with `deferred_tool_results` as ever.

        Args:
            user_prompt: what is asked; None when the history asks it.
            **options: what `Agent.run` takes, apart from `event_stream_handler`.

        Raises:
            InvalidInput: nothing is asked, or an event handler would hear of drafts that are rejected later.
            BudgetExceeded: the budget ran out before there was a draft.
            JudgeFailed, LowScore: where the policy makes these errors.
            Exception: what the first attempt raised.
        """
        if options.get("event_stream_handler") is not None:
            raise InvalidInput("an event_stream_handler would hear of rejected drafts; use run_stream_events")
        options.pop("infer_name", None)
        attempts = Attempts(self.wrapped, {**options, "user_prompt": user_prompt})
        loop = self.critique.loop(attempts.task(), attempts)
        try:
            run = await loop.run()
        except Waiting as waiting:
            return waiting.result
        return with_run(attempts.settle(loop.output()), run)

    def run_sync(self, user_prompt: Any = None, **options: Any) -> AgentRunResult[Any]:
        """Like :meth:`run`, for blocking code; works inside a running event loop as well."""
        return self._portal.call(functools.partial(self.run, user_prompt, **options))

    @asynccontextmanager
    async def run_stream(
        self, user_prompt: Any = None, **options: Any
    ) -> AsyncGenerator[StreamedRunResult[AgentDepsT, Any], None]:
        """Runs to the end, and then streams the chosen output alone, in one piece."""
        result = await self.run(user_prompt, **options)
        messages = result.all_messages()
        index = len(messages) - len(result.new_messages())
        yield with_run(StreamedRunResult(messages, index, run_result=result), run_of(result))

    @asynccontextmanager
    async def run_stream_events(  # type: ignore[override]
        self, user_prompt: Any = None, **options: Any
    ) -> AsyncGenerator[AsyncIterator[Any], None]:
        """Events of the chosen answer alone: its text in one part, and the result."""

        async def events() -> AsyncGenerator[Any, None]:
            result = await self.run(user_prompt, **options)
            yield PartStartEvent(index=0, part=TextPart(answer_text(result.output)))
            yield FinalResultEvent(tool_name=None, tool_call_id=None)
            yield AgentRunResultEvent(result)

        stream = events()
        try:
            yield stream
        finally:
            await stream.aclose()
