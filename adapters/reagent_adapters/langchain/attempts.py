"""A runnable as the agent of one run."""

from __future__ import annotations

from typing import Any

from langchain_core.messages import BaseMessage, RemoveMessage
from langgraph.pregel import Pregel
from langgraph.types import Command

from reagent_adapters.langchain.calls import Calls, Given
from reagent_adapters.langchain.inputs import Question, core, critic, settled
from reagent_adapters.langchain.messages import asked_in, evidence
from reagent_adapters.langchain.outputs import answers_in, messages_in, shown_work, trajectory_of, without, work_in
from reagent_adapters.langchain.threads import Thread
from reagent_adapters.langchain.witness import Witness
from reagent_sdk import scope
from reagent_sdk.agents import Feedback, Work
from reagent_sdk.errors import AgentError
from reagent_sdk.task import Task
from reagent_sdk.usage import Usage


class Paused(Exception):
    """A graph waits for someone, so there is no attempt to judge.

    Attributes:
        given: what it gave.
    """

    def __init__(self, given: Given) -> None:
        super().__init__("the graph was interrupted and waits to be resumed")
        self.given = given


class RunnableAgent:
    """Calls a runnable for each attempt of one run. Single use.

    A revision goes on from the attempt before it: a graph from its state, everything else from its messages or, where
    the input is a text, from one text that holds question, answer and critique.

    Args:
        calls: how the runnable is called.
        given: its input.
        key: where the question of a dict stands.
    """

    def __init__(self, calls: Calls, given: Any, key: str | None = None) -> None:
        self._calls = calls
        self._given = given
        self._is_graph = isinstance(core(calls.bound), Pregel)
        resumes = given is None or isinstance(given, Command)
        self._question = None if resumes and self._is_graph else Question.of(given, calls.bound, key)
        self._thread = Thread.of(calls.bound, calls.config, calls.blocking)
        self._work: list[BaseMessage] = []
        self._output: Any = None
        self._gone: set[str] = set()
        self._gone_before: list[frozenset[str]] = []

    async def task(self) -> Task:
        """What is asked, with what the thread remembers."""
        before = await self._thread.messages() if self._thread else []
        return self._question.task(before) if self._question else asked_in(before)[0]

    async def attempt(self, task: Task, feedback: Feedback | None) -> Work:
        """Calls the runnable once.

        Raises:
            BudgetExceeded: the budget allows no further call of a model.
            Paused: the graph was interrupted.
            AgentError: it gave nothing.
            Exception: whatever the runnable raises.
        """
        meter = scope.current().meter
        meter.require_room()
        before = meter.usage
        asked, sent = self._input(feedback)
        witness = Witness(meter)
        given = await self._calls(asked, witness)
        if self._thread and not await self._thread.landed():
            raise Paused(given)
        if meter.usage.calls == before.calls:  # it called no model that LangChain knows of
            meter.charge(Usage(calls=1, unpriced_calls=1, unmetered_calls=1))
        carried = evidence(self._work) if feedback else []
        found = messages_in(given.output)
        own = None if found is None else work_in(found, sent)
        self._work = [*carried, *shown_work(given.output, own, witness.messages)]
        self._output = given.output
        self._gone_before.append(frozenset(self._gone))
        trajectory = trajectory_of(given.output, self._work, meter.usage - before)
        chunks = [without(chunk, self._gone) for chunk in given.chunks]
        return Work(trajectory, Given(without(given.output, self._gone), chunks))

    async def settle(self, chosen: int) -> None:
        """Leaves the thread with the chosen attempt."""
        if self._thread:
            await self._thread.settle(chosen, self._gone_before[chosen])

    async def aclose(self) -> None:
        """Nothing to free."""

    def _input(self, feedback: Feedback | None) -> tuple[Any, set[str]]:
        """The input of an attempt, and the ids of the messages in it."""
        if feedback is None:
            first = self._question.first() if self._question else self._given
            return first, {message.id or "" for message in (self._question.messages if self._question else ())}
        stale = set(self._gone)
        if self._is_graph and isinstance(self._output, dict) and "messages" in self._output:
            asked = critic(feedback.critique)
            self._gone |= {asked.id or "", *answers_in(self._work)}
            return self._on_graph(asked, stale), {asked.id or ""}
        if self._question is None:
            raise AgentError("a graph that is resumed can be revised only if its state holds messages")
        revised = self._question.revised(self._work, feedback.previous.answer, feedback.critique)
        return revised, {message.id or "" for message in messages_in(revised) or ()}

    def _on_graph(self, asked: BaseMessage, stale: set[str]) -> dict[str, Any]:
        if self._thread:
            present = {message.id for message in self._output["messages"]}
            old = [RemoveMessage(id=name) for name in stale if name in present] if self._thread.forgets() else []
            return {"messages": [*old, asked]}
        kept = without(self._output, stale)
        return {**kept, "messages": [*settled(kept["messages"]), asked]}
