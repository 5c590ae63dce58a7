"""Workflows of one's own with a judge."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Unpack

from llama_index.core.llms import ChatMessage
from llama_index.core.workflow import Event, Workflow

from reagent_adapters.blocking import Closing
from reagent_adapters.critique import Critique
from reagent_adapters.llama_index.events import Relay
from reagent_adapters.llama_index.handler import CritiqueHandler
from reagent_adapters.llama_index.metering import charged, metered
from reagent_adapters.llama_index.options import Rules, critique_of
from reagent_adapters.llama_index.reading import Recorder, answer_of, finished, text_of
from reagent_sdk import scope
from reagent_sdk.agents import Feedback, Work
from reagent_sdk.errors import InvalidInput
from reagent_sdk.messages import Message, from_openai
from reagent_sdk.prompts import revision_prompt, revision_request
from reagent_sdk.specs import JudgeLike
from reagent_sdk.task import Task

QUESTIONS = ("user_msg", "query", "question", "query_str", "input", "message", "prompt", "topic", "task")
"""Names under which a start event holds the question, in the order in which they are tried."""

Messages = Iterable[Message | Mapping[str, Any]]


class CritiqueWorkflow(Closing):
    """A workflow that returns the best of its attempts; `run` takes the fields of its start event.

    A revision is a further run of the workflow. It gets question, draft and critique in the field that held the
    question; or, where `feedback` names a field of the start event, the critique in that field and the question as it
    was. A `ctx` that is passed to `run` is shared by all attempts, and so is what the workflow keeps in its store.

    Args:
        workflow: the workflow. Models in its attributes are found and each of their calls is counted beforehand.
        judge: a spec, a function `(task, trajectory)`, a Judge, a list of them, or a ready :class:`Critique`.
        question: the field that holds the question; by default the first of :data:`QUESTIONS`, or the only text.
        feedback: the field that takes the critique; it is absent in the first attempt.
        answer: reads the answer from the result; by default its text, or JSON.
        trajectory: makes chat messages of the result and the events that the workflow streamed; by default the tool
            calls, tool results and agent replies among the events.
        drafts: stream what each attempt does as it happens, marked as :class:`DraftEvent`.
        rules: `policy`, `budget` and `log`.

    Raises:
        InvalidInput: as :meth:`Critique.of` says.
    """

    def __init__(
        self,
        workflow: Workflow,
        judge: JudgeLike | Critique = None,
        *,
        question: str | None = None,
        feedback: str | None = None,
        answer: Callable[[Any], str] = answer_of,
        trajectory: Callable[[Any, Sequence[Event]], Messages] | None = None,
        drafts: bool = False,
        **rules: Unpack[Rules],
    ) -> None:
        super().__init__(critique_of(judge, **rules))
        self.workflow = workflow
        self._drafts = drafts
        self._question = question
        self._feedback = feedback
        self._answer = answer
        self._messages = trajectory

    def run(self, **fields: Any) -> CritiqueHandler[Any]:
        """Starts a run in the event loop that is running.

        Args:
            fields: the fields of the start event, and `ctx`, the context of earlier runs.

        Raises:
            InvalidInput: no field holds a question, or a start event was passed instead of its fields.
        """
        name = self._field(fields)
        asked = fields[name]
        text = text_of(asked.blocks) if isinstance(asked, ChatMessage) else str(asked)
        task = Task.of(text)

        async def work(handler: CritiqueHandler[Any]) -> Any:
            relay = Relay(handler.emit, drafts=self._drafts)
            return await handler.critiqued(self.critique, task, _Attempts(self, name, fields, relay, handler), relay)

        return CritiqueHandler(work)

    def revised(self, fields: Mapping[str, Any], name: str, task: Task, feedback: Feedback | None) -> dict[str, Any]:
        """Fields of the start event for an attempt."""
        if feedback is None:
            return dict(fields)
        if self._feedback is not None:
            return {**fields, self._feedback: revision_request(feedback.critique)}
        return {**fields, name: revision_prompt(task.question, feedback.previous.answer, feedback.critique)}

    def read(self, result: Any, recorder: Recorder, feedback: Feedback | None) -> Work:
        """The work of an attempt."""
        given = None if self._messages is None else from_openai(self._messages(result, recorder.events))
        messages = recorder.messages if given is None else given
        return Work(finished(messages, self._answer(result), feedback), result)

    def _field(self, fields: Mapping[str, Any]) -> str:
        if "start_event" in fields:
            raise InvalidInput("pass the fields of the start event as keywords instead of start_event=")
        texts = [name for name, value in fields.items() if isinstance(value, str | ChatMessage)]
        names = [self._question] if self._question else [*QUESTIONS, *(texts if len(texts) == 1 else ())]
        found = next((name for name in names if name in texts), None)
        if found is None:
            raise InvalidInput(f"no field of {sorted(fields)} holds the question as text; name it with question=")
        return found


class _Attempts:
    """Makes the attempts of one run."""

    def __init__(
        self,
        critic: CritiqueWorkflow,
        name: str,
        fields: Mapping[str, Any],
        relay: Relay,
        handler: CritiqueHandler[Any],
    ) -> None:
        self._critic = critic
        self._name = name
        self._fields = fields
        self._relay = relay
        self._handler = handler

    async def attempt(self, task: Task, feedback: Feedback | None) -> Work:
        workflow = self._critic.workflow
        metered(workflow)
        before = scope.current().meter.usage
        scope.current().meter.require_room()
        recorder = Recorder()

        def see(event: Event) -> None:
            recorder.see(event)
            self._relay.see(event)

        fields = self._critic.revised(self._fields, self._name, task, feedback)
        result = await self._handler.follow(workflow.run(**fields), see)
        work = self._critic.read(result, recorder, feedback)
        return work._replace(trajectory=work.trajectory.model_copy(update={"usage": charged(before)}))

    async def aclose(self) -> None:
        """Nothing to free."""
