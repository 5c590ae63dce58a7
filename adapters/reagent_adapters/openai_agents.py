"""Critique for the OpenAI Agents SDK: a `Runner` whose result is that of the best attempt.

runner = CritiqueRunner(judge="local")
result = await runner.run(agent, "What is 2 + 3?", session=session)
print(result.final_output, run_of(result).why)
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncGenerator
from os import PathLike
from typing import Any, TypedDict, Unpack

from reagent_adapters.blocking import Closing
from reagent_adapters.critique import Critique
from reagent_adapters.results import answer_text, run_of, with_run
from reagent_adapters.versions import require
from reagent_sdk.budget import Budget
from reagent_sdk.errors import InvalidInput
from reagent_sdk.policy import Policy
from reagent_sdk.record import RunLog
from reagent_sdk.specs import JudgeLike

require("openai-agents", "openai-agents")

from agents import (  # noqa: E402
    Agent,
    RawResponsesStreamEvent,
    RunConfig,
    RunHooks,
    RunItemStreamEvent,
    RunResult,
    StreamEvent,
)
from agents.memory import OpenAIConversationsSession, Session  # noqa: E402
from openai.types.responses import ResponseTextDeltaEvent  # noqa: E402

from reagent_adapters.openai_agents_attempts import Attempts, Given, Waiting, task_of  # noqa: E402

__all__ = ["CritiqueRunner", "Options", "Streamed", "run_of"]


class Options(TypedDict, total=False):
    """What `agents.Runner.run` takes besides agent and input."""

    context: Any
    max_turns: int | None
    hooks: RunHooks[Any] | None
    run_config: RunConfig | None
    error_handlers: Any
    previous_response_id: str | None
    auto_previous_response_id: bool
    session: Session | None


class CritiqueRunner(Closing):
    """Runs agents as `agents.Runner` does, judges each attempt and returns the `RunResult` of the best one.

    `run_of(result)` is the run behind a result. The agent that answered makes the revision, with its tools and what
    they returned before. A session remembers the question, the tool calls and the chosen answer; drafts that were
    rejected and critiques never enter it.

    Args:
        judge: a spec, a function `(task, trajectory)`, a Judge or a list of them.
        policy: how to revise and what to keep.
        budget: limits of each run; each model call is counted before it is made, those of agents used as tools after.
        log: path of a run log.

    Raises:
        InvalidInput: as :meth:`Critique.of` says.
    """

    def __init__(
        self,
        judge: JudgeLike = None,
        *,
        policy: Policy | None = None,
        budget: Budget | None = None,
        log: RunLog | str | PathLike[str] | None = None,
    ) -> None:
        super().__init__(Critique.of(judge, policy=policy, budget=budget, log=log))

    async def run(self, starting_agent: Agent[Any], input: Given, **options: Unpack[Options]) -> RunResult:
        """Runs the agent and returns the result of the chosen attempt.

        An attempt that waits for approvals is returned unjudged; pass its state on as the next input, as ever.

        Args:
            starting_agent: the agent that begins.
            input: a question, input items, or a state to resume.
            **options: what `agents.Runner.run` takes.

        Raises:
            InvalidInput: the server would keep the conversation, and so the rejected drafts.
            BudgetExceeded: the budget ran out before there was a draft.
            JudgeFailed, LowScore: where the policy makes these errors.
            Exception: what the first attempt raised, such as a guardrail's tripwire.
        """
        session = options.get("session")
        if "conversation_id" in options or isinstance(session, OpenAIConversationsSession):
            raise InvalidInput("a conversation that the server keeps would keep rejected drafts; pass another session")
        attempts = Attempts(starting_agent, input, dict(options))
        loop = self.critique.loop(await task_of(input, session), attempts)
        try:
            run = await loop.run()
        except Waiting as waiting:
            if session is not None:
                await session.add_items(waiting.saved)
            return waiting.result
        return with_run(await attempts.settle(loop.output()), run)

    def run_sync(self, starting_agent: Agent[Any], input: Given, **options: Unpack[Options]) -> RunResult:
        """Like :meth:`run`, for blocking code; works inside a running event loop as well."""
        return self._portal.call(functools.partial(self.run, starting_agent, input, **options))

    def run_streamed(self, starting_agent: Agent[Any], input: Given, **options: Unpack[Options]) -> Streamed:
        """Starts a run and returns at once; its events are those of the final answer alone."""
        return Streamed(asyncio.ensure_future(self.run(starting_agent, input, **options)))


class Streamed:
    """A run under way. Other attributes are those of its `RunResult`, as soon as there is one."""

    def __init__(self, work: asyncio.Future[RunResult]) -> None:
        self._work = work

    @property
    def is_complete(self) -> bool:
        """Whether the run has ended."""
        return self._work.done()

    def cancel(self) -> None:
        """Stops the run: the agent's call or the judge's, whichever is under way."""
        self._work.cancel()

    async def stream_events(self) -> AsyncGenerator[StreamEvent, None]:
        """The chosen answer's text as one raw delta, then its message item. Cancelling the wait cancels the run.

        Raises:
            Exception: what :meth:`CritiqueRunner.run` raises.
        """
        result = await self._work
        if result.interruptions:
            return
        message = next((item for item in reversed(result.new_items) if item.type == "message_output_item"), None)
        delta = ResponseTextDeltaEvent.model_construct(
            type="response.output_text.delta",
            delta=answer_text(result.final_output),
            item_id=getattr(message.raw_item, "id", "") if message else "",
            content_index=0,
            output_index=0,
            sequence_number=0,
            logprobs=[],
        )
        yield RawResponsesStreamEvent(data=delta)
        if message is not None:
            yield RunItemStreamEvent(name="message_output_created", item=message)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or not self._work.done():
            raise AttributeError(f"{name} is not there before the run has ended")
        return getattr(self._work.result(), name)
