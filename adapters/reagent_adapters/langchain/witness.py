"""Watches the calls made inside a runnable: counts those of models before they are made, notes those of tools."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, LLMResult

from reagent_adapters.langchain.messages import usage_of
from reagent_sdk import scope
from reagent_sdk.budget import Meter


class Counter(BaseCallbackHandler):
    """Counts model calls on a meter before they are made; one that the budget forbids is not made.

    Calls of a run inside of this one are left to that run, whose meter passes them on.

    Args:
        meter: of the run that the calls belong to.
    """

    raise_error = True
    """What the meter refuses must reach the model's caller, and not a log."""
    run_inline = True

    def __init__(self, meter: Meter) -> None:
        self.meter = meter

    def _counts(self) -> bool:
        return scope.enclosing_meter() in (None, self.meter)

    def on_chat_model_start(self, serialized: Any, messages: list[list[BaseMessage]], **kwargs: Any) -> None:
        """Admits the calls."""
        self.on_llm_start(serialized, ["" for _ in messages])

    def on_llm_start(self, serialized: Any, prompts: list[str], **kwargs: Any) -> None:
        """Admits the calls."""
        for _ in prompts if self._counts() else ():
            self.meter.admit()

    def on_llm_end(self, response: LLMResult, **kwargs: Any) -> None:
        """Charges the tokens."""
        for message in _messages(response) if self._counts() else ():
            self.meter.charge(usage_of(message.usage_metadata if message else None))

    def on_llm_error(self, error: BaseException, **kwargs: Any) -> None:
        """The call was made, and nobody says what it used."""
        if self._counts():
            self.meter.charge(usage_of(None))


class Witness(Counter):
    """Notes tool calls and results as well, for runnables whose output does not show them.

    Attributes:
        messages: the calls and their results so far, retrievals among them.
    """

    def __init__(self, meter: Meter) -> None:
        super().__init__(meter)
        self.messages: list[BaseMessage] = []
        self._begun: dict[UUID, tuple[str, Any]] = {}

    def on_llm_end(self, response: LLMResult, **kwargs: Any) -> None:
        """Charges the tokens and notes the tool calls."""
        super().on_llm_end(response, **kwargs)
        self.messages += [message for message in _messages(response) if message and message.tool_calls]

    def on_tool_start(self, serialized: Any, input_str: str, *, run_id: UUID, **kwargs: Any) -> None:
        """Remembers what a tool was asked."""
        self._begin(run_id, serialized, kwargs, kwargs.get("inputs") or input_str)

    def on_tool_end(self, output: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Notes a tool's result."""
        self._result(run_id, output if isinstance(output, ToolMessage) else str(output))

    def on_tool_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """Notes a tool's failure."""
        self._result(run_id, f"{type(error).__name__}: {error}")

    def on_retriever_start(self, serialized: Any, query: str, *, run_id: UUID, **kwargs: Any) -> None:
        """Remembers what is looked up."""
        self._begin(run_id, serialized, kwargs, {"query": query})

    def on_retriever_end(self, documents: Sequence[Document], *, run_id: UUID, **kwargs: Any) -> None:
        """Notes what was found."""
        self._result(run_id, "\n\n".join(document.page_content for document in documents))

    def on_retriever_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """Notes that the retrieval failed."""
        self._result(run_id, f"{type(error).__name__}: {error}")

    def _begin(self, run_id: UUID, serialized: Any, named: dict[str, Any], asked: Any) -> None:
        name = named.get("name") or (serialized or {}).get("name") or "tool"
        self._begun[run_id] = (name, asked if isinstance(asked, dict) else {"input": asked})

    def _result(self, run_id: UUID, result: ToolMessage | str) -> None:
        """A result under its call; a call that no model made is made up, so that the two stand together."""
        name, asked = self._begun.pop(run_id, ("tool", {}))
        if isinstance(result, str):
            result = ToolMessage(result, tool_call_id=str(run_id), name=name)
        calls = [
            call["id"] for message in self.messages if isinstance(message, AIMessage) for call in message.tool_calls
        ]
        if result.tool_call_id not in calls:
            call = {"name": name, "args": asked, "id": result.tool_call_id, "type": "tool_call"}
            self.messages.append(AIMessage("", tool_calls=[call]))
        self.messages.append(result)


def _messages(response: LLMResult) -> list[AIMessage | None]:
    """The first message of each call; None for a model that gives plain text."""
    found: list[AIMessage | None] = []
    for generations in response.generations:
        first = generations[0] if generations else None
        message = first.message if isinstance(first, ChatGeneration) else None
        found.append(message if isinstance(message, AIMessage) else None)
    return found
