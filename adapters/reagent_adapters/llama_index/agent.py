"""LlamaIndex agents, alone or in an `AgentWorkflow`, with a judge."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any, Unpack

from llama_index.core.agent.workflow import AgentOutput, AgentWorkflow
from llama_index.core.agent.workflow.base_agent import BaseWorkflowAgent
from llama_index.core.llms import ChatMessage
from llama_index.core.memory import BaseMemory
from llama_index.core.workflow import Context, Event

from reagent_adapters.blocking import Closing
from reagent_adapters.critique import Critique
from reagent_adapters.llama_index.conversation import Conversation
from reagent_adapters.llama_index.events import Relay
from reagent_adapters.llama_index.handler import CritiqueHandler
from reagent_adapters.llama_index.metering import charged, metered
from reagent_adapters.llama_index.options import Rules, critique_of
from reagent_adapters.llama_index.reading import Recorder, answer_of, finished
from reagent_adapters.results import with_run
from reagent_sdk import scope
from reagent_sdk.agents import Feedback, Work
from reagent_sdk.errors import InvalidInput
from reagent_sdk.specs import JudgeLike
from reagent_sdk.task import Task


class CritiqueAgent(Closing):
    """A `FunctionAgent`, `ReActAgent`, `CodeActAgent` or `AgentWorkflow` that returns the best of its attempts.

    `run` takes what the agent's own `run` takes and gives a handler that is awaited, streamed and cancelled like the
    agent's own. A revision goes on from the draft: the agent sees its tool results and the critique. The user's memory
    gets the question and the chosen attempt; drafts that were rejected and critiques never enter it.

    Args:
        agent: the agent. Its models are found and each of their calls is counted before it is made.
        judge: a spec, a function `(task, trajectory)`, a Judge, a list of them, or a ready :class:`Critique`.
        drafts: stream what each attempt does as it happens, marked as :class:`DraftEvent`. Without it nothing of an
            attempt leaves before it is chosen.
        rules: `policy`, `budget` and `log`.

    Raises:
        InvalidInput: this is no agent, or as :meth:`Critique.of` says.
    """

    def __init__(
        self,
        agent: BaseWorkflowAgent | AgentWorkflow,
        judge: JudgeLike | Critique = None,
        *,
        drafts: bool = False,
        **rules: Unpack[Rules],
    ) -> None:
        if not isinstance(agent, BaseWorkflowAgent | AgentWorkflow):
            raise InvalidInput(
                f"{type(agent).__name__} is no LlamaIndex agent; "
                "CritiqueWorkflow takes other workflows and CritiqueQueryEngine takes query engines"
            )
        super().__init__(critique_of(judge, **rules))
        self.agent = agent
        self._drafts = drafts

    def run(
        self,
        user_msg: str | ChatMessage | None = None,
        chat_history: Sequence[ChatMessage] | None = None,
        memory: BaseMemory | None = None,
        ctx: Context | None = None,
        **kwargs: Any,
    ) -> CritiqueHandler[AgentOutput]:
        """Starts a run in the event loop that is running.

        Args:
            user_msg: the question; without it `chat_history` ends with it.
            chat_history: the conversation so far; it replaces what `memory` holds.
            memory: remembers the question and the chosen attempt.
            ctx: context of earlier runs, whose state all attempts share; it also keeps the memory.
            kwargs: whatever else the agent's `run` takes, such as `max_iterations`.

        Raises:
            InvalidInput: a start event was passed; pass what is in it.
        """
        if "start_event" in kwargs:
            raise InvalidInput("pass user_msg=, chat_history= and memory= instead of start_event=")
        opened = functools.partial(Conversation.opened, user_msg, chat_history, memory, ctx)

        async def work(handler: CritiqueHandler[AgentOutput]) -> AgentOutput:
            talk = await opened()
            chosen: int | None = None
            relay = Relay(handler.emit, drafts=self._drafts)
            attempts = _Attempts(self.agent, talk, kwargs, relay, handler)
            try:
                output: AgentOutput = await handler.critiqued(self.critique, talk.task(), attempts, relay)
                chosen = handler.run.chosen if handler.run else None
            finally:
                await talk.keep(chosen)
            return with_run(output, handler.run) if handler.run else output

        return CritiqueHandler(work)


class _Attempts:
    """Makes the attempts of one run."""

    def __init__(
        self,
        agent: BaseWorkflowAgent | AgentWorkflow,
        talk: Conversation,
        kwargs: Mapping[str, Any],
        relay: Relay,
        handler: CritiqueHandler[AgentOutput],
    ) -> None:
        self._agent = agent
        self._talk = talk
        self._kwargs = kwargs
        self._relay = relay
        self._handler = handler

    async def attempt(self, task: Task, feedback: Feedback | None) -> Work:
        metered(self._agent)
        before = scope.current().meter.usage
        recorder = Recorder()

        def see(event: Event) -> None:
            recorder.see(event)
            self._relay.see(event)

        given = await self._talk.ask(feedback)
        output = await self._handler.follow(self._agent.run(**given, **self._kwargs), see)
        self._talk.answered()
        trajectory = finished(recorder.messages, answer_of(output), feedback)
        return Work(trajectory.model_copy(update={"usage": charged(before)}), output)

    async def aclose(self) -> None:
        """Nothing to free."""
